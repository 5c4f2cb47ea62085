"""main.cf and master.cf: syntax, expansion, typed values, the parameter registry (spec: config chapter)."""
