/* Amounts for people: short, or with commas. */
#ifndef SLUICE_UI_AMOUNT_H
#define SLUICE_UI_AMOUNT_H

#include <stdint.h>

struct amount {
	char text[64];
};
struct amount amount_count(uint64_t v);   /* 12,345,678 */
struct amount amount_things(uint64_t v, const char *thing); /* 1 window, 2,000 windows */
struct amount amount_size(uint64_t bytes); /* 45.3 MB */
struct amount amount_time(int64_t us);    /* 350 ms, 12.1 s, 3 min 05 s, 2 h 10 min */

#endif
