"""What a card says: one frozen pydantic model per section. See `Card` for the whole."""
