"""The guards of the lead half: proofs, deliveries, consent, scores, calls of a model, backfills, replays and tenants."""

from tests.mutants.guard import Guard, lead_sql, py

ADAPTERS, SIGNATURES = "tests/channels/test_adapters.py::test_", "tests/engine/web/test_signatures.py::test_"
DOORS, INBOX, REPLAY, SCORING, STEPS, ORDER, HELD, DAY, CLAY, FOUND, TOKENS, API, LEAD, STANDING, SCORES, CONSENT, LOCKS = (
    f"tests/leads/test_{name}.py::test_"
    for name in (
        "doors", "inbox", "replay", "scoring", "post_process", "post_process_order", "back_pressure", "ai_budget",
        "asking_clay", "keep_found", "api_refusals", "api", "api_lead", "standing", "scores", "consent",
        "inbox_order",
    )
)  # fmt: skip
ASKS, FAILURES, LIMITS = (f"tests/leads/ai/test_ai_{name}.py::test_" for name in ("asks", "failures", "limits"))
BACKFILL, SPEND, DESK = (
    f"tests/leads/backfill/test_{name}.py::test_" for name in ("backfill", "backfill_spend", "backfill_desk")
)

FORGED, NO_SECRET = f"{ADAPTERS}no_forged_proof_is_accepted", f"{ADAPTERS}without_a_secret_nothing_is_accepted"
ONCE = f"{INBOX}the_same_delivery_three_times_at_once_is_kept_once"
STOPPED = f"{HELD}a_request_to_stop_is_heard_while_all_is_held"
HELD_BACK = f"{HELD}one_429_holds_back_all_that_asks_the_model"
LOCKED = ', with_for_update={"key_share": True}'

LEAD_GUARDS: tuple[Guard, ...] = (
    # Doors: who may come in, and with how much
    py("web/signatures", "a secret is compared in constant time", "hmac.compare_digest(sign(to_bytes(secret)), proof)",
       "sign(to_bytes(secret)) == proof", f"{SIGNATURES}every_secret_is_compared_in_constant_time"),
    py("web/signatures", "an empty secret is none", "if any(not secret or secret != secret.strip() for secret in self.accepted):",
       "if False:", f"{SIGNATURES}an_empty_or_untrimmed_secret_is_refused"),
    py("web/cron", "the cron door wants its secret", 'if not secrets().matches(bearer_token(request.headers) or ""):', "if False:",
       f"{DOORS}the_cron_door_fails_closed"),
    py("web/webhooks", "a body has a limit", "if size > limit:", "if False:",
       f"{DOORS}a_body_over_the_limit_is_refused_before_it_is_parsed"),
    py("leads/inbox", "a delivery is verified before it is kept", "        adapter.verify(delivery)\n", "",
       f"{INBOX}a_forged_delivery_leaves_no_trace"),
    py("channels/__init__", "a token is one of ours", "if not any(secrets.matches(proof) for proof in proofs if proof):",
       "if not any(proof for proof in proofs if proof):", FORGED),
    py("channels/twilio", "Twilio signs the whole delivery", "if not genuine:", "if False:",
       "tests/channels/test_twilio.py::test_one_changed_byte_is_refused"),
    py("channels/standard_webhooks", "a delivery is not played again later", "if not is_fresh(timestamp, self.now()):", "if False:",
       "tests/channels/test_standard_webhooks.py::test_a_genuine_delivery_cannot_be_played_again_later"),
    # The inbox: one event, lead, message and job, and consent in the same transaction
    lead_sql("keep_event", "a delivery is kept once", " WHERE inbox_event.workspace_id IS NULL AND excluded.workspace_id IS NOT NULL\n", "", ONCE),
    lead_sql("add_message", "a message is kept once", "        ON CONFLICT ON CONSTRAINT message_once DO NOTHING\n", "",
             f"{INBOX}two_deliveries_of_one_reply_at_once_make_one_message"),
    lead_sql("add_message", "nothing was sent in the future", "least(coalesce(CAST(:sent_at AS timestamptz), now()), now())",
             "coalesce(CAST(:sent_at AS timestamptz), now())", f"{INBOX}a_time_in_the_future_is_taken_for_now"),
    py("leads/conversations", "racing replies of one person agree on a lead", 'if added["identities"] == len(set(told.identities)):',
       "if True:", f"{INBOX}racing_first_replies_of_one_person_make_one_lead"),
    py("leads/conversations", "a key that two senders share is a message of each", "if message.lead_id == lead_id:", "if True:",
       f"{INBOX}a_key_that_two_senders_share_is_a_message_of_each"),
    py("leads/inbox", "a message has one job", "kind.job(message, tenant=str(workspace_id), dedupe_key=key)",
       "kind.job(message, tenant=str(workspace_id))", f"{INBOX}two_deliveries_of_one_reply_make_one_message_and_one_job"),
    py("leads/jobs", "each message is scored", 'return f"lead_scoring:{what.lead_id}:{what.message_id}"',
       'return f"lead_scoring:{what.lead_id}"', f"{SCORING}every_inbound_message_is_scored_again"),
    py("store/connection", "what a delivery brings commits together", "            async with connection.transaction():\n", "            if True:\n",
       f"{INBOX}a_crash_between_any_two_statements_leaves_nothing_and_a_re_send_heals_it"),
    py("leads/inbox", "what cannot be read is kept", "except MalformedWebhookError as error:", "except ZeroDivisionError as error:",
       f"{INBOX}what_cannot_be_read_is_kept_and_answered_200"),
    py("leads/inbox", "a request to stop is heard by the webhook", 'await self._rows("hear_stop", message_id=message.message_id, why=why)',
       "pass", STOPPED),
    lead_sql("hear_stop", "a request to stop is heard once", " AND sentiment IS DISTINCT FROM 'opted_out'", "",
             f"{HELD}a_request_that_was_taken_back_is_not_heard_again"),
    lead_sql("hear_stop", "an older request to stop changes no newer one", " AND (opted_out_at IS NULL OR opted_out_at < heard.sent_at)", "",
             f"{ORDER}a_request_to_stop_that_is_told_of_late_leaves_the_newer_one"),
    lead_sql("hear_stop", "who came back since is not stopped", """\

   AND NOT EXISTS (SELECT FROM message AS welcome
                    WHERE welcome.lead_id = heard.lead_id AND welcome.sent_at >= heard.sent_at
                      AND welcome.consent = 'started')""", "", f"{CONSENT}a_request_to_stop_that_is_told_of_late_stops_nobody_who_came_back",
             f"{CONSENT}who_came_back_in_a_history_is_not_stopped"),
    py("leads/conversations", "a welcome in their own word is kept as one", " or (Consent.STARTED if opt_in_in(told.text, told.channel) is not None else None)", "",
       f"{CONSENT}a_request_to_stop_that_is_told_of_late_stops_nobody_who_came_back"),
    lead_sql("add_message", "when they last wrote is known with the message", "direction = 'inbound' AND body <> ''", "false",
       f"{CONSENT}a_bounce_is_none_where_a_later_reply_is_still_worked_on", f"{API}a_lead_keeps_its_place_while_its_first_reply_is_worked_on"),
    lead_sql("add_message", "older words turn no time back", "greatest(last_inbound_at, sent_at)", "sent_at",
             f"{STEPS}late_arrivals_turn_nothing_back"),
    lead_sql("add_message", "an older message of ours turns no time back", "greatest(last_outbound_at, sent_at)", "sent_at",
             f"{ORDER}a_message_of_ours_that_is_told_of_late_turns_no_time_back"),
    lead_sql("find_lead", "the lead is locked before its messages", "   FOR NO KEY UPDATE OF lead\n", "",
             f"{LOCKS}a_delivery_waits_for_who_has_the_lead_and_takes_its_message"),
    py("channels/unipile", "what may be ours is not theirs", "if message.is_ours is None:", "if False:",
       "tests/channels/test_unipile.py::test_what_may_be_ours_is_not_taken_for_theirs"),
    py("channels/email_text", "a dash after wrote is a person's, unless Zoho's stand before it", r'    r"^[^-][\s\S]*-$"', '    r"a^"',
       "tests/channels/test_email_text.py::test_their_own_words_are_kept"),
    py("channels/email_text", "whoever presses Apple's unsubscribe button is a person", 'if header("x-apple-unsubscribe"):', "if False:",
       "tests/channels/test_postmark.py::test_apples_unsubscribe_button_is_pressed_by_a_person"),
    py("channels/email_text", "a subject counts only if it asks us to stop", 'return asked if opt_out_in(asked, Channel.EMAIL) else ""', "return asked",
       "tests/channels/test_postmark.py::test_a_subject_that_asks_for_nothing_is_no_reply"),
    py("channels/postmark", "a request in the subject alone is heard", " or request_in(mail.subject)", "",
       f"{INBOX}a_request_in_the_subject_alone_is_heard"),
    py("channels/sendgrid", "a request in the subject alone is heard", " or request_in(mail.subject)", "",
       f"{INBOX}a_request_in_the_subject_alone_is_heard"),
    py("channels/email_text", "who asks for a journey on a day is heard", "_DATE_LINE.search(below) and _SUBJECT.search(below)",
       "_DATE_LINE.search(below) and _TO.search(below)", "tests/channels/test_email_text.py::test_their_own_words_are_kept"),
    # Post-processing: consent, steps that are kept, what is newer stands
    py("leads/post_process/opt_out", "the provider's word is heard", "if consent == Consent.STOPPED:", "if False:",
       f"{STEPS}news_without_words_scores_the_lead_again"),
    py("leads/post_process/opt_out", "a request is a whole clause", '.fullmatch(f"{words} ") is not None', '.search(f"{words} ") is not None',
       "tests/leads/test_opt_out.py::test_words_that_only_sound_like_it_are_no_request"),
    py("leads/post_process/opt_out", "who leaves a way open has not asked us to stop", "if not stays and (request :=", "if (request :=",
       "tests/leads/test_opt_out_phrasings.py::test_a_reply_in_two_minds_is_no_request"),
    py("leads/post_process/consent", "a bounce that is told of late is none",
       "if lead.last_inbound_at is None or lead.last_inbound_at < message.sent_at:", "if True:",
       f"{STEPS}a_bounce_that_is_told_of_late_is_none"),
    py("leads/post_process/consent", "an older welcome takes no request back", " and lead.opted_out_at <= message.sent_at", "",
       f"{ORDER}a_welcome_that_is_told_of_late_takes_no_request_back"),
    py("leads/post_process/steps", "the newest words say how they feel",
       "felt.order_by(Message.sent_at.desc(), Message.id.desc())", "felt.order_by(Message.id.desc())",
       f"{STEPS}late_arrivals_turn_nothing_back"),
    py("leads/post_process/steps", "nobody is asked what the rules have heard",
       "if message.sentiment is not None or not message.body.strip():", "if not message.body.strip():",
       f"{STEPS}a_request_to_stop_is_heard_while_the_model_is_down"),
    py("leads/post_process/steps", "no draft for who opted out meanwhile", "if (why := disqualified_by(lead)) is not None:  # while",
       "if (why := None) is not None:  # while", f"{ORDER}who_opts_out_while_the_draft_is_written_gets_none"),
    py("leads/post_process/pipeline", "a finished step is not done again", "if step.name not in await job.finished():", "if True:",
       f"{STEPS}a_retry_buys_no_finished_step_again"),
    py("leads/post_process/pipeline", "a model that stays away is passed by", "if step.asks_model and not visit.is_last_attempt:",
       "if step.asks_model:", f"{STEPS}a_model_that_stays_away_does_not_keep_a_lead_from_being_scored"),
    py("leads/post_process/pipeline", "too little time is passed by", "    except OutOfTimeError as late:", "    except ZeroDivisionError as late:",
       f"{STEPS}too_little_time_does_not_keep_a_lead_from_being_scored"),
    py("leads/post_process/pipeline", "an answer that is none is passed by", "    except ProviderError as refused:",
       "    except ZeroDivisionError as refused:", f"{STEPS}an_answer_that_is_none_is_passed_by"),
    py("leads/post_process/pipeline", "a job is of its message's workspace",
       "if message.lead_id != lead.id or str(lead.workspace_id) != job.tenant:", "if False:",
       f"{STEPS}a_job_of_another_workspace_or_lead_does_nothing"),
    # Scores: disqualified leads cost nothing, the newest picture stands
    py("handlers/lead_scoring_post_process", "no model is asked about who is disqualified", "scored = case.disqualified or await", "scored = await",
       f"{SCORING}opt_out_after_interest_scores_one_and_asks_no_model", f"{SCORING}a_disqualifying_tag_scores_one_and_asks_no_model"),
    py("leads/scoring/scores", "a score is of its job's workspace", "if str(lead.workspace_id) != tenant:", "if False:",
       f"{SCORING}a_job_of_another_workspace_scores_nothing"),
    py("leads/scoring/scores", "the newest picture stands",
       "lead.scored_through_id is None or lead.scored_through_id < case.through_id:", "True:",
       f"{SCORING}an_older_job_never_overwrites_a_newer_score"),
    py("leads/scoring/scores", "of two looks at the same messages the later one stands", " and is_later", "",
       f"{SCORES}of_two_looks_at_the_same_messages_the_newer_one_s_score_stands"),
    py("leads/scoring/scores", "the standing is looked at again", "scored if why is None or scored.model is None else Scored.disqualified(why)",
       "scored", f"{SCORING}who_opts_out_while_the_model_thinks_is_disqualified"),
    py("handlers/lead_scoring_post_process", "a score of who is back without a word is taken back", "return await self._clear(job, case)",
       'return Skip("no inbound message to score")', f"{SCORES}who_subscribes_again_without_a_word_is_unscored_again"),
    py("leads/scoring/scores", "a disqualification that was taken back is not applied", "if case.disqualified is not None and disqualified_by(lead) is None:", "if False:",
       f"{SCORES}who_subscribes_again_without_a_word_is_unscored_again"),
    py("leads/scoring/scores", "a score waits for who has the lead", LOCKED, "",
       f"{SCORING}who_is_opting_out_while_the_score_is_kept_is_disqualified"),
    py("leads/recent", "the newest messages are shown", ".order_by(Message.sent_at.desc(), Message.id.desc())", ".order_by(Message.sent_at, Message.id)",
       f"{SCORING}more_than_sixty_messages_are_scored_on_the_newest"),
    py("leads/scoring/prompt", "a score is from 1 to 4", "if not _LOWEST <= value <= _HIGHEST:", "if False:",
       f"{SCORING}an_unusable_answer_is_never_a_success_without_a_score"),
    py("leads/jobs", "a refusal is final", "permanent=(ProviderRefusedError,)", "permanent=()",
       f"{SCORING}a_refusal_ends_the_job_failed_with_its_reason"),
    py("leads/ai/fence", "a stranger's text stays in its fence", "text.translate(_NO_TAGS)", "text",
       "tests/leads/test_prompt.py::test_the_transcript_cannot_close_its_own_fence"),
    # Back-pressure
    py("handlers/lead_scoring_post_process", "a scoring uses the model", ", uses=ai.uses)", ")", HELD_BACK),
    py("handlers/lead_scoring_post_process", "a busy model holds back all that asks it", "return busy.hold", "raise", HELD_BACK),
    py("leads/ai/models", "whoever is set to a model uses its successors", "if following.successor is None:", "if True:",
       f"{HELD}a_successor_that_is_busy_holds_back_who_is_set_to_its_predecessor"),
    py("leads/ai/models", "all models use the account", "found, following = [PROVIDER], find_model(name)", "found, following = list[str](), find_model(name)",
       f"{HELD}without_credit_all_waits_until_somebody_lets_go"),
    # Calls of a model: on the ledger before and after, within the day's budget
    py("leads/ai/asking", "a call is on record before it is made", """\
            entry = _Entry(asking.ledger, await asking.ledger.asked(call), model, spend)
            try:
                reply = await send(client, self._request(asking, model, max_output_tokens))
""", """\
            reply = await send(client, self._request(asking, model, max_output_tokens))
            entry = _Entry(asking.ledger, await asking.ledger.asked(call), model, spend)
            try:
""", f"{ASKS}the_ledger_is_written_before_and_after_the_call", f"{LIMITS}a_ledger_that_refuses_stops_the_call"),
    py("leads/ai/asking", "a call that is cut off is on record", 'await entry.close(Reply(said=""), ProviderError(f"{why}; it may have been billed"))', "pass",
       f"{LIMITS}a_call_cancelled_midway_is_on_the_ledger"),
    py("leads/ai/asking", "a record quotes nobody", "else type(surprise).__name__", "else str(surprise)",
       f"{FAILURES}a_surprise_is_recorded_by_its_class_and_goes_on"),
    py("leads/ai/ledger", "a call is reserved where there is a cap", "if not self.is_capped:", "if True:",
       f"{DAY}no_call_passes_the_cap_and_what_does_not_fit_waits_for_tomorrow", f"{DAY}a_former_owner_asks_nothing"),
    py("leads/ai/asking", "a bill is settled", "self.spend.settle(**answer.took)", "pass",
       f"{DAY}the_day_and_the_ledger_agree_whatever_becomes_of_calls"),
    py("leads/ai/calls", "a lost answer may have been billed", 'is_free = self.status == "failed" and self.request_id is not None', "is_free = True",
       f"{DAY}the_day_and_the_ledger_agree_whatever_becomes_of_calls"),
    py("leads/ai/models", "an unknown price is the dearest", "else _DEAREST_INPUT_USD", "else min(known, default=Decimal(0))",
       f"{DAY}a_model_without_prices_counts_as_the_dearest"),
    py("leads/ai/asking", "a token is at least a byte", 'return sum(len(text.encode(errors="replace")) for text in sent) + _FRAME_TOKENS',
       "return self.input_tokens", f"{LIMITS}what_is_reserved_is_never_less_than_the_bill"),
    # Clay: asked once, within its rows
    py("leads/post_process/clay", "a lead is asked about once", '(Enrichment.status == "asked") & is_recent & is_abandoned', "is_recent & is_abandoned",
       f"{CLAY}a_lead_is_asked_about_once"),
    py("leads/recent", "what was said at one time keeps its order", "(message.sent_at, message.id)", "message.sent_at",
       "tests/leads/test_recent.py"),
    py("leads/post_process/opt_out", "a hostile text costs no more than its length", '"{0,4}"', '"*"',
       "tests/leads/test_opt_out_cost.py"),
    py("leads/post_process/clay", "no more rows than the table takes", ", where=has_room", "", f"{CLAY}the_cap_holds_against_many_at_once"),
    lead_sql("keep_found", "what is known stays", "SET job_title = coalesce(job_title, CAST(:job_title AS text)),\n           company = coalesce(company, CAST(:company AS text))",
             "SET job_title = CAST(:job_title AS text),\n           company = CAST(:company AS text)", f"{FOUND}an_answer_fills_blanks_and_notes_facts"),
    py("leads/inbox", "what fills a blank is scored each time", ":enriched:{event_id}", ":enriched",
       "tests/leads/test_clay_callback.py::test_a_richer_answer_scores_the_lead_again"),
    # Kept deliveries again
    lead_sql("lock_event", "a delivery is replayed by one", "   FOR UPDATE SKIP LOCKED\n", "", f"{REPLAY}two_replays_at_once_share_the_work"),
    lead_sql("lock_event", "what has a workspace is not replayed", " AND workspace_id IS NULL", "",
             f"{REPLAY}what_another_replay_has_made_a_message_since_is_passed_over"),
    py("leads/replay", "a dry run changes nothing", "raise Rollback", "pass",
       f"{REPLAY}a_delivery_that_nobody_owned_is_kept_whole_once_somebody_does"),
    # Backfills: a page once, within the rate and the money
    py("handlers/lead_scoring_backfill", "a page is fenced with its job's end", "return await job.commit(session, outcome)",
       "await session.commit()\n            return outcome", f"{BACKFILL}it_goes_on_wherever_it_died"),
    py("handlers/lead_scoring_backfill", "a pause and a cancel stop it", "if backfill.state != BackfillState.RUNNING:", "if False:",
       f"{BACKFILL}a_pause_takes_effect_at_the_next_page", f"{DESK}a_cancel_takes_what_waits_and_lets_run_what_runs"),
    py("handlers/lead_scoring_backfill", "a driver waits for a resume", LOCKED, "", f"{BACKFILL}a_resume_cannot_miss_a_driver_that_ends"),
    py("handlers/lead_scoring_backfill", "what was added within the minute counts", "backfill.leads_per_minute - tally.recent", "backfill.leads_per_minute",
       f"{BACKFILL}no_more_than_the_rate_within_any_minute"),
    py("handlers/lead_scoring_backfill", "what has not ended counts at its worst", "// worst - tally.unended", "// worst",
       f"{SPEND}what_has_not_ended_is_counted_at_its_worst"),
    py("leads/scoring/backfill", "live replies come first", "            lane=Lane.BACKFILL,", "            lane=Lane.LIVE,",
       f"{BACKFILL}live_replies_are_served_while_a_backfill_runs"),
    lead_sql("lock_backfills", "two starts are one backfill", "pg_advisory_xact_lock(CAST(CAST('scoring_backfill' AS regclass) AS bigint))", "1",
             f"{DESK}two_starts_at_once_are_one_backfill"),
    lead_sql("cancel_backfill_jobs", "a cancel takes its own jobs", " AND hold < CAST(:key_beyond AS text)", "",
             f"{DESK}a_cancel_takes_what_waits_and_lets_run_what_runs"),
    # Tenants, tokens and names over HTTP
    py("leads/directory", "a token opens its own workspace", "leads.where(Lead.workspace_id == self._workspace_id)", "leads",
       f"{API}nobody_sees_the_leads_of_another_workspace", f"{TOKENS}another_workspace_s_lead_is_as_unknown_as_none"),
    py("leads/directory", "an unknown token opens nothing", "if (workspace_id := await workspace_of(session, token)) is None:",
       "if (workspace_id := await workspace_of(session, token)) == 0:", f"{TOKENS}without_a_token_that_opens_nothing_is_told"),
    py("leads/tokens", "a revoked token opens nothing", ", ApiToken.revoked_at.is_(None))", ")", f"{TOKENS}a_revoked_token_opens_nothing"),
    py("leads/directory", "a list masks names", "tuple(lead.masked() for lead in leads)", "tuple(leads)",
       f"{API}a_line_shows_who_it_is_and_what_it_scored_with_addresses_masked"),
)  # fmt: skip
