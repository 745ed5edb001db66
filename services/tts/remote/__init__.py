"""What engines have in common that let somebody else's server speak."""
