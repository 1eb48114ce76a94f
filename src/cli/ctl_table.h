/* ctl_table - an answer of the control socket as a table for people */
#ifndef CLI_CTL_TABLE_H
#define CLI_CTL_TABLE_H

#include <jansson.h>
#include <stdio.h>

/* Print `answer` (borrowed): a line for each plain member; below, for each member that is a list of
 * objects, its members as columns, and for each that is an object, a line for each of its members
 * that is not zero or empty. Histogram buckets are left out. */
void ctl_table_print(FILE *out, json_t *answer);

#endif
