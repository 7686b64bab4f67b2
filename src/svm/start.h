/* SPDX-License-Identifier: MIT */
/* Start-up of AMD-V. */
#pragma once

/* Boot CPU: sets hvm_ops if this machine has AMD-V with nested paging, and it is not switched off.
 */
void svm_start(void);
/* This CPU, after svm_start() and cpu_init_tables(). */
void svm_cpu_init(void);
