"""Tests of the engine, with fakes for dbt and the clock."""
