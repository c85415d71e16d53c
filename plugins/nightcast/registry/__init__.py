"""Which models were promoted, which of them is champion as of an instant, and which were withdrawn."""
