#!/bin/sh
# mirror_kept_mutants.sh - can the tests of copies that outlast their process fail?
# See tests/support/mutants.sh; run by `make check-mirror-kept-mutants`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

t=flow/test_flow_mirror_kept
mutant src/copies/mirror_kept.c $t 's/    if (!keeper->is_kept_let || !keeper->was_reached ||/    if (!keeper->was_reached ||/' 'nothing is used before it is known which Chroma it is'
mutant src/copies/mirror_kept.c $t 's/    if (!keeper->is_kept_let || !keeper->was_reached ||/    if (!keeper->is_kept_let ||/' 'nor before it is reached'
mutant src/copies/mirror_kept.c $t 's/        if (!is_let \&\& entry->state/        if (0 \&\& entry->state/' 'of another Chroma nothing is used'
mutant src/copies/mirror_kept.c $t 's/ \&\& !entry->keeper->was_reached;/;/' 'nor of the second one'
mutant src/copies/mirror_kept.c $t 's/        entry->is_described = false;/        entry->is_described = true;/' 'Chroma is asked what the collection is'
mutant src/copies/mirror_entry.c $t 's/    if (queue->is_kept \&\& !mirror_entry_is_as_kept(entry)) {/    if (0) {/' 'and it is what the copy has'
mutant src/copies/mirror_applied.c $t 's/queue->copy == NULL \&\& queue->is_kept/0/' 'what is damaged is told from what fails later'
mutant src/copies/mirror_kept.c $t 's/    entry->list_sent = ++keeper->clock;/    ;/' 'writes are told from the first one on'
mutant src/copies/mirror_kept.c $t 's/        keeper->was_reached)$/        0)/' 'nothing is loaded for a Chroma that has answered'
mutant src/copies/mirror_kept.c $t 's/        (!kept->is_asked_for \&\& !mirror_choice_takes_name(entry)))/        0)/' 'what is not wanted is not loaded'
mutant src/copies/mirror_kept.c $t 's/entries\[i\]->state == MIRROR_ENTRY_COMPLETE \&\&/entries[i]->live != NULL \&\&/' 'what is not complete is not saved'
mutant src/copies/mirror_kept.c $t 's/!list_is_empty(&entry->open) || //; s/ || !mirror_entry_is_quiet(entry)//' 'nor beside a write'
mutant src/copies/mirror_kept.c $t 's/queue->applied != queue->told ||/false ||/; s/!list_is_empty(\&queue->changes)/false/; s/reason == NULL \&\& queue->is_running/false/' 'nor before it is applied'
mutant src/copies/mirror_kept.c $t 's/    if (!entry->is_placed || entry->name == NULL)/    if (entry->name == NULL)/' 'nor what has no place'
mutant src/copies/mirror_kept.c $t 's/    if (reason == NULL \&\& entry->is_unseen)/    if (0)/' 'nor what is searched nobody knows how'
mutant src/copies/mirror_kept.c $t 's/|| !keeper->is_gateway ||$/||/' 'nor beside others'
mutant src/copies/mirror_kept.c $t 's/    return used >= keeper->options.disk_max ? 0 :.*/    return UINT64_MAX;/' 'nor what the disk does not hold'

t=unit/test_mirror_save
mutant src/mirror/mirror_save.c $t 's/    if (crc32c(checksum, texts.data, texts.size) != entry.checksum)/    if (0)/; s/crc32c(loading->checksum, head, sizeof head) == seal->checksum/1/' 'what is read has its checksum'
mutant src/mirror/mirror_save.c $t 's/                   crc32c(loading->checksum, head, sizeof head) == seal->checksum \&\&/                   1 \&\&/' 'all of it has'
mutant src/mirror/mirror_save.c $t 's/    return has_vector \&\& mirror_vectors_checksum(entry->row, loading->vector,/    return has_vector || mirror_vectors_checksum(entry->row, loading->vector,/' 'vectors have'
mutant src/mirror/mirror_save.c $t 's/loading->head.space == (uint32_t)records->space/1/' 'it is of the space that it should be'
mutant src/mirror/mirror_vectors.c $t 's/    return saved == sequence ? STATUS_OK : STATUS_CORRUPT;/    return STATUS_OK;/' 'the snapshot belongs to the records'
mutant src/mirror/mirror_ids.c $t 's/        rows_of(ids)\[row\].place = ids->free_row;/        ;/' 'free rows are known'
mutant src/mirror/mirror_save_write.c $t 's/    if (records->hollow_count > 0)/    if (0)/' 'what is hollow is not saved'
mutant src/mirror/mirror_save_write.c $t 's/    if (saving->offset + part.size > saving->bytes_max)/    if (0)/' 'it has a bound'
mutant src/mirror/mirror_copy.c $t 's/        mirror_save_remove(options->file_ops, options->path);/        ;/' 'what cannot be opened is removed'

t=unit/test_database_facts
mutant src/child/database_facts.c $t 's/status.st_size == 0 : errno == ENOENT/true : errno == ENOENT/' 'a log that is not empty was not closed'
mutant src/child/database_facts.c $t 's/        strcpy(path, real);/        ;/' 'and lies beside the file, not beside a link to it'
mutant src/child/database_facts.c $t 's/    "SELECT segment_id, seq_id FROM max_seq_id ORDER BY segment_id",//' 'how far writes have come counts'
mutant src/child/database_facts.c $t 's/    "SELECT MAX(seq_id) FROM embeddings_queue",//' 'and the last of the log'
mutant src/child/database_facts.c $t 's/(intmax_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, changes/(intmax_t)status.st_mtim.tv_sec, 0L, changes/' 'and the time, to the nanosecond'
mutant src/child/database_facts.c $t 's/sqlite3_column_int(statement, 0) == 0/1/' 'what was not taken in is seen'
mutant src/child/database_facts.c $t 's/(uint64_t)sqlite3_column_int64(statement, 1) == records/1/' 'so is another number of records'
t=flow/test_flow_mirror_kept
mutant src/copies/mirror_kept.c $t 's/entry->is_carried = is_in_order \&\&/entry->is_carried =/' 'a Chroma that died carries nothing over'
mutant src/copies/mirror_kept.c $t 's/entry->state == MIRROR_ENTRY_COMPLETE \&\& kept_why_not(entry) == NULL;/entry->state == MIRROR_ENTRY_COMPLETE;/' 'nor what was not applied'
mutant src/copies/mirror_kept.c $t 's/^    entry->is_carried = false;/    ;/' 'once'
mutant src/copies/mirror_kept.c $t 's/    entry->live->is_kept = true;/    ;/' 'and what it is described as is compared'

mutants_run
