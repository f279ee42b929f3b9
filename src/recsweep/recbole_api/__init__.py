"""The only importer of RecBole. Importing this package alone imports neither RecBole nor torch."""
