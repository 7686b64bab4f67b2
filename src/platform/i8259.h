/* SPDX-License-Identifier: MIT */
/* The two legacy interrupt controllers: out of the way. Intel 8259A datasheet. */
#pragma once

/* Moves their vectors to VECTOR_8259 and masks everything. */
void i8259_disable(void);
/* A vector of theirs came all the same: spurious, or the firmware's doing. */
void i8259_spurious(unsigned vector);
