"""Batch norm over the rows of two processes, computed in one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from scholars.compute import sync_batchnorm


def halves_of(norm: nn.BatchNorm2d, x: Tensor, g: Tensor, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """Return output, gradients and buffers of two processes with half of the rows each.

    A message depends on the messages before it: after as many rounds as there are messages, all of them are right.
    """
    monkeypatch.setattr("scholars.compute.sync_batchnorm.dist.get_world_size", lambda: 2)
    messages: list[list[Tensor]] = [[], []]
    for _ in range(3):
        before, messages = messages, [[], []]
        found = []
        for rank in (0, 1):

            def all_gather(
                local: Tensor, sent: list[Tensor] = messages[rank], before: list[list[Tensor]] = before
            ) -> Tensor:
                number = len(sent)
                sent.append(local)
                return torch.stack([others[number] if len(others) > number else local for others in before])

            monkeypatch.setattr(sync_batchnorm, "_all_gather", all_gather)
            mine = copy.deepcopy(norm)
            rows = x.chunk(2)[rank].clone().requires_grad_()
            y = sync_batchnorm.sync_batch_norm(mine)(rows)
            torch.autograd.backward(y, g.chunk(2)[rank])
            assert rows.grad is not None
            gradients = {name: value.grad for name, value in mine.named_parameters() if value.grad is not None}
            found.append({"y": y.detach(), "x": rows.grad, **gradients, **dict(mine.named_buffers())})
    return found


@pytest.mark.parametrize("momentum", [0.1, None])
def test_two_halves_are_the_whole(momentum: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, momentum=momentum)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    # Halves that differ, so that neither's own moments would do.
    x = torch.randn(4, 3, 5, 5) + torch.tensor([0.0, 0.0, 2.0, 2.0])[:, None, None, None]
    g = torch.randn_like(x)
    found = halves_of(norm, x, g, monkeypatch)
    whole = x.clone().requires_grad_()
    y = norm(whole)
    torch.autograd.backward(y, g)
    torch.testing.assert_close(torch.cat([half["y"] for half in found]), y.detach())
    torch.testing.assert_close(torch.cat([half["x"] for half in found]), whole.grad)
    for name, value in norm.named_parameters():
        torch.testing.assert_close(found[0][name] + found[1][name], value.grad)
    for name, buffer in norm.named_buffers():
        for half in found:
            torch.testing.assert_close(half[name], buffer)


def test_in_evaluation_it_is_the_norm_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    norm = nn.BatchNorm2d(3)
    norm(torch.randn(4, 3, 5, 5))
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(sync_batchnorm.sync_batch_norm(norm.eval())(x), norm(x))
