"""Which role a head has: criteria from measurements, tests, controls, and the verdict."""
