"""The web gateway: pages, REST and live events over the five services. It holds no model."""
