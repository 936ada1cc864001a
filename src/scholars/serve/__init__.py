"""The studio: a scholar as a web page and an HTTP API. Needs the extra ``serve``."""
