"""The HTTP service and the page: `allfocus serve` and `allfocus site`."""
