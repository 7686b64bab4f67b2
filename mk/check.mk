# SPDX-License-Identifier: MIT
# make check: format, layers, the form of pages, builds by gcc and clang, static analysis and unit
# tests; a few minutes, no emulator. tools/check says what each step is.

.PHONY: check unit-programs
check:
	@tools/check $(B)

unit-programs: $(UNIT_BIN)

# For tools/check: the value of a variable.
print-%:
	@echo '$($*)'
