"""How findings are shown: as text in a terminal, as JSON, and normalised for comparison."""
