#!/bin/sh
# mirror_records_mutants.sh - can the tests of the records of a copy fail?
# See tests/support/mutants.sh; run by `make check-mirror-records`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

ids='unit/test_mirror_ids unit/test_mirror_records'
mutant src/mirror/mirror_ids.c "$ids" 's/    if (ids->count >= ids->records_max)/    if (0)/' 'records are bounded'
mutant src/mirror/mirror_ids.c "$ids" 's/ids->count <= ids->place_end \/ 2/0/' 'gaps of the order are closed'
mutant src/mirror/mirror_ids.c "$ids" 's/        rows_of(ids)\[order\[end\]\].place = end;/        ;/' 'who moves up knows its place'
mutant src/mirror/mirror_ids.c "$ids" 's/    if (ids->free_row != no_row)/    if (0)/' 'rows are used again'
mutant src/mirror/mirror_ids.c "$ids" 's/    order_of(ids)\[entry->place\] = no_row;/    ;/' 'who is removed has no place'
mutant src/mirror/mirror_ids.c "$ids" 's/if (probes >= ((at - hole) \& mask))/if (0)/' 'a hole cuts nobody off'
mutant src/mirror/mirror_ids.c "$ids" 's/(ids->slot_mask + 1) \/ 4 \* 3/ids->slot_mask + 1/' 'the table is never full'
mutant src/mirror/mirror_ids.c "$ids" 's/    ids->free_texts\[class\] = text;/    ;/' 'texts are used again'
mutant src/mirror/mirror_ids.c "$ids" 's/    if (units < exact_classes) {/    if (1) {/' 'large texts have classes'

values='unit/test_mirror_values unit/test_mirror_records'
mutant src/mirror/mirror_values.c "$values" 's/crc32c(crc32c(0, &row, sizeof row), head, HEAD_SIZE)/crc32c(0, head, HEAD_SIZE)/' 'the seal says which row'
mutant src/mirror/mirror_values.c "$values" 's/ || data.mv_size != seal.size/ /' 'the size is that of the seal'
mutant src/mirror/mirror_values.c "$values" 's/ ||$/ \&\& 0 \&\&/' 'sizes in the head are looked at'
mutant src/mirror/mirror_values.c "$values" 's/value->has_document ? HAS_DOCUMENT : 0/0/' 'a document may be empty'
mutant src/mirror/mirror_values.c "$values" 's/value->has_uri ? HAS_URI : 0/0/' 'a uri may be empty'
mutant src/mirror/mirror_values.c "$values" 's/values->dirty + cost > MIRROR_VALUES_DIRTY_MAX/0/' 'what waits is bounded'
mutant src/mirror/mirror_values.c "$values" 's/values->map_size != values->disk_max/0/' 'the disk may become larger'
mutant src/mirror/mirror_values.c "$values" 's/^        file_unlink(&file_ops_system, values->path);/        ;/' 'the file goes'

records=unit/test_mirror_records
mutant src/mirror/mirror_records.c $records 's/    records->hollow_count--;/    ;/' 'who is removed is not hollow'
mutant src/mirror/mirror_records.c $records 's/    records->hollow_count -= was_hollow;/    ;/' 'who is filled is not hollow'
mutant src/mirror/mirror_records.c $records 's/    entry->seal = (struct mirror_seal){0};/    ;/' 'who is hollow has no value'
mutant src/mirror/mirror_records.c $records 's/> mirror_budget_left(records)/> UINT64_MAX - 1/' 'values keep to the budget'
mutant src/mirror/mirror_records.c $records 's/records->disk_max - mirror_budget_index(records).file_bytes/records->disk_max/' 'vectors take from the disk of values'
mutant src/mirror/mirror_vectors.c $records 's/    if (dimension != records->dimension)/    if (0)/' 'one dimension for all'
mutant src/mirror/mirror_vectors.c $records 's/mirror_budget_disk(records) + file_growth(records, count)/0/' 'vectors keep to the disk'
mutant src/mirror/mirror_vectors.c $records 's/vector_index_maintain(records->index, UINT32_MAX);/;/' 'the dead make room'
mutant src/mirror/mirror_vectors.c $records 's/return status == STATUS_NOT_FOUND ? STATUS_OK : status;/return status;/' 'a record may have no vector'
mutant src/mirror/mirror_vectors.c $records 's/    file_unlink(records->file_ops, path);/    ;/' 'the file of vectors goes'
mutant src/mirror/mirror_vectors.c $records 's/    mirror_columns_drop_signatures(records->columns);/    ;/' 'what is only fast makes room'
mutant src/mirror/mirror_records.c $records 's/&= ~((uint64_t)1 << row % 64)/|= 0/' 'who is hollow is not filtered'
mutant src/mirror/mirror_records.c $records 's/|= (uint64_t)1 << row % 64/|= 0/' 'who is filled is filtered'
mutant src/mirror/mirror_budget.c $records 's/records->memory_max - records->memory_max \/ readers_part/records->memory_max/' 'readers have room'
mutant src/mirror/mirror_budget.c $records 's/mirror_values_memory(records->values) +/0 +/' 'values are counted'

mutants_run
