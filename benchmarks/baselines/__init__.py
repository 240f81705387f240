"""The other side of each comparison, written as a good developer would without the toolkit."""
