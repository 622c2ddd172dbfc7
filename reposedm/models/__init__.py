"""Networks, one public network a file."""
