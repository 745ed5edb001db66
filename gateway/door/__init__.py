"""Who is there: addresses, proxies, sign-ins, and where a page may lead."""
