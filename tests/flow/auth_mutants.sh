#!/bin/sh
# auth_mutants.sh - can the tests of keys fail? Breaks one rule at a time; see tests/support/mutants.sh.
# Usage: make check-auth-mutants
set -eu

# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

mutant src/auth/auth_judge.c unit/test_auth_judge 's/!bytes_equal(names->tenant, place->tenant) ||/false ||/' "the path's tenant is the collection's"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/!bytes_equal(names->database, place->database))))/false)))/' "the path's database is the collection's"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/if (!sees(question, &target))/if (false)/' "what is out of scope is not there"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/    if (!question->route->has_uuid)/    if (false)/' "what is no UUID is none"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/!question->head->is_head/true/' "the length of a list is not told"
mutant src/auth/auth_judge.c unit/test_auth_judge "s/ || name.data\[i\] == '\/'//" "no encoded slash"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/!bytes_equal(name, BYTES_LITERAL(".."))/true/' "no dot segments"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/            if (has_member)/            if (false)/' "a name stands once"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/            if (has_flag || /            if (/' "get_or_create stands once"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/    return json_scan_end(&scan);/    return true;/' "the body is JSON to its end"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/kind == AUTH_KIND_FORK ? KEY_VERB_CREATE : verbs/verbs/' "a fork creates"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/return has_origin \&\& has_method;/return has_origin;/' "what a preflight is"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/        if ((verbs \& verb) != 0 \&\&$/        if (verbs == verb \&\&/' "all verbs are needed"
mutant src/auth/auth_judge.c unit/test_auth_judge 's/rule->verbs == 0 ? KEY_VERB_ADMIN : rule->verbs/rule->verbs/' "unknown routes need admin"
mutant src/auth/auth_query.c unit/test_auth_judge 's/    return is_first \&\& auth_query_decode/    return auth_query_decode/' "a place stands once"
mutant src/auth/auth_query.c unit/test_auth_judge 's/    return is_first \&\& text_to_number/    return text_to_number/' "a page stands once"
mutant src/auth/auth_query.c unit/test_auth_judge 's/auth_query_decode(encoded, true, text/auth_query_decode(encoded, false, text/;s/    if (c == .%.) {/    if (false) {/' "names of parameters are decoded"
mutant src/auth/auth_credentials.c unit/test_auth_credentials 's/ret->are_two = true/ret->are_two = false/' "two keys"
mutant src/auth/auth_credentials.c unit/test_auth_credentials 's/ \&\&$/ ||/' "dropped fields"
mutant src/proxy/auth_gate.c flow/test_flow_auth 's/    else if (shown.are_two)/    else if (false)/' "two keys are none"
mutant src/proxy/auth_gate.c flow/test_flow_auth 's/            front_connection_drop_field(connection, i);/            (void)connection;/' "a key goes no further"
mutant src/proxy/auth_gate.c flow/test_flow_auth 's/    if (rules->forwards || /    if (/' "a key that is to be forwarded"
mutant src/proxy/auth_gate.c flow/test_flow_auth 's/exchange->auth.needs_body = true;/exchange->auth.needs_body = false;/' "bodies are judged"
mutant src/proxy/auth_gate.c flow/test_flow_auth 's/    if (wait_us > 0)$/    if (false)/' "wrong keys wait"
mutant src/proxy/auth_gate.c flow/test_flow_auth 's/exchange->path = &auth_list_path;/(void)auth_list_path;/' "lists are filtered"
mutant src/proxy/auth_gate.c flow/test_flow_auth 's/    if (ticket->key == NULL \&\& shown.are_two).*/    if (0)/' 'a key beside another credential does not reach Chroma'
mutant src/auth/auth.c flow/test_flow_auth 's/    return rules == now || /    return 1 || rules == now || /' 'what was revoked while it waited is refused'
mutant src/proxy/auth_get.c flow/test_flow_auth 's/    if (head->status != 404) {/    if (true) {/' "what is not there is not created"
mutant src/auth/auth_look.c flow/test_flow_auth 's/oldest_us = proxy->is_gateway || by_us < trust_us ? 0/oldest_us = true ? 0/' "a name is 5 s old at most"
mutant src/auth/auth_look.c flow/test_flow_auth 's/parts\[2\] = siphash_1_3(secret, /parts[2] = 0 * siphash_1_3(secret, /' "the place counts"
mutant src/auth/auth_look.c flow/test_flow_auth 's/        if (is_active(looks, ticket->place))/        if (false)/' "one look for all"
mutant src/auth/auth_look.c flow/test_flow_auth 's/    if (looks->proxy->admission.is_paused)/    if (false)/' "nothing is asked in a pause"
mutant src/auth/auth_look.c flow/test_flow_auth 's/(look->status != 200 \&\& look->status != 404)/false/' "an error is no answer"
mutant src/proxy/auth_list.c flow/test_flow_auth 's/    if (list->skip > 0) {/    if (false) {/' "offset counts what is seen"
mutant src/proxy/auth_list.c flow/test_flow_auth 's/if (list->left > 0 \&\& is_seen/if (is_seen/' "limit"
mutant src/chroma/collection_table.c unit/test_collection_table 's/collection->named_us >= oldest_us \&\&/true \&\&/' "a name is no older than wanted"
mutant src/calls/services.c flow/test_flow_auth 's/if (service == SERVICE_MATCH_NONE \&\& key->service/if (false \&\& key->service/' "the service of a key"
mutant src/proxy/service_admission.c flow/test_flow_auth 's/    if (is_small \&\& !exchange->body_ended)/    if (is_small)/' "a refusal after a wait is given"
mutant src/app/keys_file.c unit/test_keys_file 's/(info.st_mode \& 077) != 0/(info.st_mode \& 007) != 0/' "others cannot read the file"
mutant src/app/keys_file.c unit/test_keys_file 's/if (flock(draft->fd, LOCK_EX) != 0 ||/if (/' "changes wait for each other"
mutant src/app/keys_file.c unit/test_keys_file 's/named.st_ino == mine.st_ino/true/' "what was renamed is no draft"
mutant src/app/keys_file.c unit/test_keys_file 's/if (wanted.found > 1)/if (false)/' "a name that several have"
mutant src/calls/call.c flow/test_flow_auth 's/ || call->origin.may_go(call))/ || true)/' "a read is looked at when its turn comes"
mutant src/calls/call.c flow/test_flow_auth 's/    turn_queue_done(call->proxy->turns, &call->turn, 1);/    ;/' "who may not go gives his turn back"
mutant src/proxy/auth_recheck.c flow/test_flow_auth 's/auth_verdict_find(exchange, &names, NULL, why) == AUTH_ALLOWED/true/' "it is judged by the name of then"
mutant src/proxy/auth_recheck.c flow/test_flow_auth 's/    return is_known(exchange) \&\&/    return/' "and by the keys of then"
mutant src/auth/auth_look.c flow/test_flow_auth 's/now_us - judged_us < trust_us ? judged_us : now_us/judged_us/' "a judgement is 5 s old at most"
mutant src/auth/auth_look.c flow/test_flow_auth 's/now_us - judged_us < trust_us ? judged_us : now_us/now_us/' "but so old it may be"

mutants_run
