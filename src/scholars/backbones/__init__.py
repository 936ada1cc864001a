"""Backbones: frozen, pretrained networks that look at photographs, so that a scholar learns features, not pixels."""

from scholars.backbones.backbone import Backbone
from scholars.backbones.look import forget_task, look, look_at, seen_by
from scholars.backbones.open import open_backbone

__all__ = ["Backbone", "forget_task", "look", "look_at", "open_backbone", "seen_by"]
