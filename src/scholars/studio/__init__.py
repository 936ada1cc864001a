"""The studio: a web page and an HTTP API for one scholar. Needs the extra ``serve``."""
