"""GPT-SoVITS' `api_v2`: what is asked of it, what it says of failures, and how it gets at recordings."""
