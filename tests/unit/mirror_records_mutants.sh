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

segments=unit/test_mirror_pieces
mutant src/mirror/mirror_segments.c $segments 's/fill + size <= MIRROR_SEGMENTS_SIZE/fill <= MIRROR_SEGMENTS_SIZE/' 'a piece is in one segment'
mutant src/mirror/mirror_segments.c $segments 's/    if (left != mirror_segments_none \&\& is_free(segments, left))/    if (0)/' 'a current one of holes is free when it is left'
mutant src/mirror/mirror_segments.c $segments 's/    if (number < segments->lowest)/    if (0)/' 'the lowest free one is known'
mutant src/mirror/mirror_segments.c $segments 's/segments->end > 0 \&\& is_free/0 \&\& is_free/' 'free ones at the end are cut off'
mutant src/mirror/mirror_segments.c $segments 's/    if (turns_left(segments) == 0)/    if (0)/' 'the disk is bounded'
mutant src/mirror/mirror_segments.c $segments 's/segments->pending + size > buffer_size/0/' 'what waits is bounded'
mutant src/mirror/mirror_segments.c $segments 's/return turns_left(segments) < 2/return turns_left(segments) < 1/' 'one segment is held back'
mutant src/mirror/mirror_segments.c $segments 's/(size - closed.live) \* holes_part < size/1/' 'a full disk is cleaned'
mutant src/mirror/mirror_segments.c $segments 's/    return (uint64_t)segments->end \* MIRROR_SEGMENTS_SIZE > most;/    return 0;/' 'the file is kept small'
mutant src/mirror/mirror_segments.c $segments 's/        if (segments->current == segments->end - 1)/        if (0)/' 'the current one may be the last'
mutant src/mirror/mirror_segments.c $segments 's/    enum status status = mirror_segments_flush(segments);$/    enum status status = STATUS_OK;/' 'who is left is written'
mutant src/mirror/mirror_segments.c $segments 's/fill - segments->pending)/fill)/' 'what waits is the last of it'
mutant src/mirror/mirror_segments.c $segments 's/    return file_truncate(segments->ops, segments->fd, offset_in_file(segments->end, 0));/    return STATUS_OK;/' 'the file becomes shorter'
mutant src/mirror/mirror_segments.c $segments 's/    index_memory_free(segments->memory, segments->buffer, buffer_size);$/    ;/' 'the buffer is given back'
mutant src/mirror/mirror_pieces.c $segments 's/^        file_unlink(pieces->ops, pieces->path);/        ;/' 'the file goes'
mutant src/mirror/mirror_pieces.c $segments 's/^    mirror_pieces_remove(pieces, row);/    ;/' 'another run takes the place of the first'
mutant src/mirror/mirror_pieces.c $segments 's/            pieces->further_free = number;/            ;/' 'further pieces are used again'
mutant src/mirror/mirror_pieces.c $segments 's/        piece_of(pieces, segment->first)->before = number;/        ;/' 'who is behind knows who is before'
mutant src/mirror/mirror_pieces.c $segments 's/        piece_of(pieces, piece->before)->after = piece->after;/        ;/' 'who is removed is left out'
mutant src/mirror/mirror_pieces.c $segments 's/        piece_of(pieces, piece->after)->before = piece->before;/        ;/' 'who is behind the removed knows who is before'
mutant src/mirror/mirror_pieces.c $segments 's/    piece_of(pieces, number)->more = old.more;/    ;/' 'who moves keeps the rest of its run'
mutant src/mirror/mirror_pieces.c $segments 's/piece->offset < reader->start/0/' 'what stands before was not read'
mutant src/mirror/mirror_pieces.c $segments 's/piece->segment != reader->segment ||/0 ||/' 'what is in another segment was not read'
mutant src/mirror/mirror_pieces.c $segments 's/size_ahead(pieces, piece);$/piece->size;/' 'who reads on reads ahead'
mutant src/mirror/mirror_pieces.c $segments 's/)->fill - piece->offset;/)->fill - piece->offset + 9;/' 'nobody reads beyond the end'
mutant src/mirror/mirror_pieces.c $segments 's/    if (reader->room > piece_max)/    if (0)/' 'a reader gives back what a long run took'
mutant src/mirror/mirror_pieces.c 'unit/test_mirror_pieces unit/test_mirror_values' '/^void mirror_pieces_reader_rest/,/^}/s/    reader->start = reader->end = 0;/    ;/' 'what was read is forgotten'

values='unit/test_mirror_values unit/test_mirror_records'
mutant src/mirror/mirror_values.c "$values" 's/crc32c(crc32c(0, &row, sizeof row), stored/crc32c(checksum_0(), stored/;s/uint32_t      checksum = crc32c(0, &row, sizeof row)/uint32_t      checksum = checksum_0()/;s/^static bool        take_apart.*/&\nstatic uint32_t checksum_0(void) { return 0; }/' 'the seal says which row'
mutant src/mirror/mirror_values.c "$values" 's/    if (mirror_pieces_size(values->pieces, row) != seal.size)/    if (0)/' 'the size is that of the seal'
mutant src/mirror/mirror_values.c "$values" 's/== seal.checksum \&\&/== seal.checksum ||/' 'the checksum is looked at'
mutant src/mirror/mirror_values.c "$values" 's/value->has_document ? HAS_DOCUMENT : 0/0/' 'a document may be empty'
mutant src/mirror/mirror_values.c "$values" 's/value->has_uri ? HAS_URI : 0/0/' 'a uri may be empty'
mutant src/mirror/mirror_values.c "$values" 's/    enum status status = mirror_pieces_flush(values->pieces);/    enum status status = STATUS_OK;/' 'the writer reads what it has put'
mutant src/mirror/mirror_values.c "$values" '/^enum status mirror_values_get/,/^}/s/    mirror_pieces_reader_rest(values->pieces, &values->reader);/    ;/' 'the writer reads what is there now'
mutant src/mirror/mirror_reader.c "$values" 's/    mirror_values_reader_end(reader->values);/    ;/' 'readers read what is there now'

records=unit/test_mirror_records
mutant src/mirror/mirror_records.c $records 's/    records->hollow_count--;/    ;/' 'who is removed is not hollow'
mutant src/mirror/mirror_records.c $records 's/    records->hollow_count -= was_hollow;/    ;/' 'who is filled is not hollow'
mutant src/mirror/mirror_records.c $records 's/    entry->seal = (struct mirror_seal){0};/    ;/' 'who is hollow has no value'
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

mutants_run
