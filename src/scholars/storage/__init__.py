"""Everything on disk: files, scholars, weights, images, resumable work."""
