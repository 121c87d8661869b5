"""Photos in and out: decoding, scratch pictures, tiles, encoding."""
