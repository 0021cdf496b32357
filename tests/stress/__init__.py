"""What is run at any length: see the modules' own words."""
