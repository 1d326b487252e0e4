// A sum of whole numbers, fractions, sorted words and a table, as every program beside this one makes it in its language.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

static uint32_t state = 1;
static uint32_t next(void) { return state = state * 1664525u + 1013904223u; }
static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int main(void) {
    uint32_t sum = 2166136261u;
    for (int i = 0; i < 50000000; i++) sum = (sum ^ (next() >> 24)) * 16777619u;
    double fraction = 0;
    for (int i = 1; i < 5000000; i++) fraction += sqrt(i) / (i + 0.5);
    enum { words = 200000 };
    char **list = malloc(words * sizeof *list);
    for (int i = 0; i < words; i++) { list[i] = malloc(16); snprintf(list[i], 16, "w%u", next()); }
    qsort(list, words, sizeof *list, compare);
    for (int i = 0; i < words; i++) for (char *at = list[i]; *at; at++) sum = (sum ^ (uint8_t)*at) * 16777619u;
    uint64_t bits;
    memcpy(&bits, &fraction, 8);
    printf("%08x-%016llx\n", sum, (unsigned long long)bits);
}
