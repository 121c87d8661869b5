"""Operations that the networks are built from and that torch does not have."""
