"""PetPro: clinic appointments with slots, payment and its split, and a marketplace, in seven services."""
