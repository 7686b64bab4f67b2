/* SPDX-License-Identifier: MIT */
/* Console input for domain 0. */
#pragma once

/* One character that the user typed for domain 0; too many unread ones are dropped. */
void console_input(char c);
