// Generated from openapi.yaml by scripts/types.mjs. Do not edit.
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description Every error code. A code is stable; `docs/api/client.md` says what a client does about it.
         * @enum {string}
         */
        Code: "no_session" | "login_code_rejected" | "login_blocked" | "login_limited" | "wechat_unavailable" | "idempotency_key_missing" | "idempotency_key_malformed" | "request_id_in_future" | "request_id_expired" | "idempotency_key_reused" | "body_too_large" | "content_type_unsupported" | "body_not_json" | "body_too_deep" | "body_duplicate_key" | "body_number" | "body_invalid" | "parameter_invalid" | "cursor_invalid" | "arguments_invalid" | "not_after_invalid" | "deadline_invalid" | "conversation_other_agent" | "conversation_ending" | "conversations_full" | "conversation_full" | "arguments_not_showable" | "tool_unknown" | "agent_unknown" | "policy_denied" | "policy_error" | "mode_read_only" | "mode_closed" | "tool_closed" | "tool_not_opened" | "audit_unproven" | "approval_by_operator" | "approval_other_user" | "approval_own_request" | "no_operator" | "operator_forbidden" | "job_not_unknown" | "already_resolved" | "approval_not_asked" | "approval_digest_mismatch" | "approval_decided" | "approval_expired" | "not_found" | "method_not_allowed" | "job_over" | "job_busy" | "ring_over" | "rate_limited" | "in_flight_full" | "unavailable" | "internal";
        /** @description RFC 9457. A 5xx has the four required members only. */
        Problem: {
            type: string;
            /** @description For people. May change. */
            title: string;
            status: number;
            code: components["schemas"]["Code"];
            /** @description More */
            detail?: string;
            /** @description With `arguments_invalid`. */
            errors?: components["schemas"]["ArgumentFault"][];
            /** @description With `request_id_in_future`, `request_id_expired`, `not_after_invalid` and `deadline_invalid`. */
            server_time?: components["schemas"]["Timestamp"];
            /** @description Which of several steps is at fault. */
            step?: number;
            /**
             * @description With `body_invalid`, when a reference to an earlier step is at fault: where it stands in the step's `arguments`
             *     or `message`, as a JSON pointer (RFC 6901).
             */
            pointer?: string;
            /** @description With `job_over`, the final one; with `approval_not_asked` and `job_not_unknown`, the one of now. */
            job_status?: components["schemas"]["JobStatus"];
            /**
             * @description With `parameter_invalid`.
             * @enum {string}
             */
            parameter?: "wait" | "limit" | "cursor" | "state" | "minutes";
        };
        ArgumentFault: {
            /** @description JSON pointer (RFC 6901) from the root of `arguments`; empty for the root itself. */
            pointer: string;
            /** @description What the schema wants there. Never quotes the value. */
            message: string;
        };
        /** Format: date-time */
        Timestamp: string;
        /** @description RFC 3339 with an offset, or seconds or milliseconds since 1970, between 2000 and 2100. */
        TimeInput: string | number;
        /** @description A lower-case UUID. A ULID becomes one. */
        RequestIdText: string;
        /** @description 32 bytes, base64url without padding. */
        Digest: string;
        /** @description Names the catalogue that was decided by. */
        PolicyVersion: string;
        LogIn: {
            /** @description What `wx.login` gave. */
            code: string;
        };
        ApprovalDecision: {
            /** @enum {string} */
            decision: "approve" | "reject";
            /** @description Of what the job's `approval` shows. */
            digest: components["schemas"]["Digest"];
            /** @description What `wx.login` gave just now. Needed to approve, unless that was decided before. */
            code?: string;
        };
        Session: {
            token: string;
            /** @constant */
            token_type: "Bearer";
            expires_at: components["schemas"]["Timestamp"];
            /**
             * Format: uuid
             * @description Random; says nothing about the openid.
             */
            user_id: string;
        };
        /** @description A tool call, a turn of an agent, or up to 20 of them, run in order. */
        Submission: (components["schemas"]["CallStep"] & components["schemas"]["Times"]) | ({
            message?: string;
        } & (components["schemas"]["TurnStep"] & components["schemas"]["Times"])) | ({
            /** @description The turns among them share one conversation, if they have one, and one agent in it. */
            steps: (components["schemas"]["CallStep"] | components["schemas"]["TurnStep"])[];
        } & components["schemas"]["Times"]);
        CallStep: {
            /** @description A name of `GET /v1/tools`. */
            tool: string;
            /**
             * @description What the tool's schema wants. Within `steps`, any value in it may be a `Reference`; the whole is then checked,
             *     decided and, if somebody has to say yes, shown once it is known.
             */
            arguments: Record<string, unknown>;
            deadline_s?: components["schemas"]["StepDeadline"];
        };
        TurnStep: {
            /** @description What is said, up to 16 KiB. Within `steps` it may be made of parts, some of them references. */
            message: string | (string | components["schemas"]["Reference"])[];
            /**
             * @description A name of `GET /v1/agents`.
             * @default main
             */
            agent?: string;
            conversation?: components["schemas"]["ConversationName"];
            deadline_s?: components["schemas"]["StepDeadline"];
        };
        /** @description Stands for what an earlier step returned, at that place. */
        Reference: {
            $from: {
                /** @description The number of an earlier step. */
                step: number;
                /** @description JSON pointer (RFC 6901) into its result, like `/reply`; empty for all of it. */
                pointer: string;
            };
        };
        /** @description The user's own name for a conversation. Turns of one conversation run one after another, and the agent remembers them. */
        ConversationName: string;
        /** @description How long the step may take from its beginning on, in seconds. */
        StepDeadline: number;
        Times: {
            /**
             * @description Start nothing later than this; ahead by at most 24 hours.
             *     Without it, the tool's own limit holds (15 minutes unless the catalogue says otherwise); for several steps and for
             *     turns the sum of what each may take.
             */
            not_after?: components["schemas"]["TimeInput"];
            /** @description Be over by then; ahead by at most 24 hours. What cannot be stopped then ends as `unknown` or `failed`. */
            deadline?: components["schemas"]["TimeInput"];
            /** @description Informative. Not part of what makes two requests the same. */
            sent_at?: components["schemas"]["TimeInput"];
        };
        /**
         * @description `queued`, `running`, `retrying` and `awaiting_approval` are open; every other status is final and never changes.
         *     `awaiting_approval`: nothing runs before somebody says yes. `explained`: nothing ran, and `result` tells what would have.
         * @enum {string}
         */
        JobStatus: "queued" | "running" | "retrying" | "awaiting_approval" | "succeeded" | "failed" | "refused" | "explained" | "cancelled" | "expired" | "unknown";
        /**
         * @description Only of a job that is over without success.
         *     `not_run`: nothing happened, a new request is safe. `ran`: a write ran, at least in part.
         *     `unknown`: a write may have run.
         * @enum {string}
         */
        Effect: "not_run" | "ran" | "unknown";
        /** @enum {string} */
        StepOutcome: "succeeded" | "failed" | "refused" | "not_run" | "unknown";
        /**
         * @description Why a job ended without success. Not a `Code`, although some names are shared.
         * @enum {string}
         */
        JobErrorCode: "tool_failed" | "tool_unavailable" | "tool_blocked" | "gateway_request_rejected" | "attempts_exhausted" | "not_after_passed" | "cancelled" | "outcome_unknown" | "payload_missing" | "tool_unknown" | "agent_unknown" | "tool_changed" | "arguments_invalid" | "arguments_not_showable" | "deadline_passed" | "derived_missing" | "derived_invalid" | "conversation_other_agent" | "conversation_ending" | "model_failed" | "model_refused" | "reply_empty" | "turn_lost" | "turn_timed_out" | "turn_aborted" | "calls_exhausted" | "rounds_exhausted" | "policy_denied" | "policy_error" | "approval_rejected" | "approval_expired" | "approval_insufficient" | "mode_explain_only" | "mode_read_only" | "mode_closed" | "tool_closed" | "tool_not_opened" | "audit_unproven";
        Job: {
            request_id: components["schemas"]["RequestIdText"];
            status: components["schemas"]["JobStatus"];
            effect?: components["schemas"]["Effect"];
            /** @description Index of the next step. */
            cursor: number;
            /**
             * @description Those that were submitted, and behind each turn what its agent proposed and its further rounds. They grow while a
             *     turn goes on.
             */
            steps: components["schemas"]["Step"][];
            /**
             * @description What the last step returned, any JSON value; the gateway's tools return `{content, details}`, a turn a
             *     `TurnResult`.
             *     `{"omitted": "too_large"}` when it was over 64 KiB, `{"omitted": "not_stored"}` when its record is gone.
             *     Of an `explained` job: an `Explanation`, or `{"steps": [of those]}` for several steps.
             */
            result?: unknown;
            error?: components["schemas"]["JobError"];
            approval?: components["schemas"]["Approval"];
            resolution?: components["schemas"]["Resolution"];
            /**
             * @description Only while the job is open.
             * @constant
             */
            cancel_requested?: true;
            /** @description Absent once the job is over. */
            next_poll_ms?: number;
            /** @description To be read to the operator. */
            support_code: string;
            not_after: components["schemas"]["Timestamp"];
            /** @description It is over by then. Only when it was asked for. */
            deadline?: components["schemas"]["Timestamp"];
            created_at: components["schemas"]["Timestamp"];
            updated_at: components["schemas"]["Timestamp"];
        };
        /** @description What a turn returns. */
        TurnResult: {
            /** @description The words of a model. Show them as text. */
            reply: string;
            /**
             * @description The reply was over 60 KiB and is cut.
             * @constant
             */
            truncated?: true;
        };
        /**
         * @description What somebody has to say yes to, or has decided: the whole call, as it will be sent. Not in lists.
         *     Characters that cannot be seen, or that change how their surroundings read, are shown as escapes (`\u202e`), in
         *     `summary` and in every string and key of `arguments`.
         */
        Approval: {
            /** @description The index of its step in `steps`. */
            place: number;
            /**
             * @description An agent proposed the call, of its own accord or talked into it by what it read.
             * @constant
             */
            proposed?: true;
            /**
             * @description Something of it comes from a turn or an earlier step.
             * @constant
             */
            derived?: true;
            /**
             * @description Who has to decide.
             * @enum {string}
             */
            approver: "user" | "operator";
            /**
             * @description Names exactly this call: HMAC-SHA256 with the job's own key over the RFC 8785 form of
             *     `{user_id, request_id, step, round, tool, arguments}`.
             */
            digest: components["schemas"]["Digest"];
            /** @description The tool's. */
            title: string;
            /** @description What the call does. */
            summary: string;
            /** @description With escapes. Absent once they are erased. */
            arguments?: Record<string, unknown>;
            /** @description From here on nobody can say yes. */
            expires_at: components["schemas"]["Timestamp"];
            /**
             * @description Absent while nobody has decided.
             * @enum {string}
             */
            decision?: "approve" | "reject";
            /**
             * @description As whom it was decided.
             * @enum {string}
             */
            by?: "user" | "operator";
            /** @description When it was decided. */
            at?: components["schemas"]["Timestamp"];
        };
        /** @description What would have been done, and why it was not. */
        Explanation: {
            title: string;
            /** @description Absent while arguments are to come from earlier steps. */
            summary?: string;
            /** @description With escapes; `{"omitted": "too_large"}` over 4 KiB. */
            arguments: Record<string, unknown>;
            /**
             * @description What policy said; nobody was asked. `undecided` while arguments are to come from earlier steps.
             * @enum {string}
             */
            decision: "run" | "run_if_user_approves" | "run_if_operator_approves" | "undecided";
            /** @constant */
            why: "mode_explain_only";
        };
        StepCommon: {
            /**
             * @description A tool call, a round of an agent's turn, or the deletion of a conversation.
             * @enum {string}
             */
            kind: "call" | "turn" | "end";
            /** @description Of a `call`. */
            tool?: string;
            /** @description Of a `turn` or an `end`. */
            agent?: string;
            conversation?: components["schemas"]["ConversationName"];
            /** @description The number of the submitted step that it belongs to. */
            step: number;
            /** @description Its place within that one. 0 for what was submitted, then what the agent proposed and its further rounds. */
            round: number;
            /**
             * @description An agent proposed this call.
             * @constant
             */
            proposed?: true;
            /**
             * @description Something of it comes from a turn or an earlier step.
             * @constant
             */
            derived?: true;
            /** @description Absent while the step has not ended. */
            outcome?: components["schemas"]["StepOutcome"];
            /** @description Why it did not succeed. What an agent proposed may fail and the job go on, since the agent is told. */
            error?: components["schemas"]["JobError"];
            /** @description The latest that the agent was seen to do, oldest first. Only while its turn goes on. */
            progress?: components["schemas"]["Progress"][];
            /** @description The end of the reply so far, where the gateway tells. Only while the turn goes on. */
            partial?: string;
        };
        Step: components["schemas"]["StepCommon"];
        WholeStep: {
            /** @description What it returned, as in `Job`. Absent while it has not, and where nothing was returned. */
            result?: unknown;
        } & components["schemas"]["StepCommon"];
        Progress: {
            at: components["schemas"]["Timestamp"];
            /** @enum {string} */
            doing: "thinking" | "tool" | "replying" | "other";
            /** @description Which tool. With escapes. */
            tool?: string;
            /**
             * @description How far that call is. `proposed`: it did not run, and the service decides about it as soon as the round is over.
             *     `vetoed`: it did not run, and will not.
             * @enum {string}
             */
            state?: "running" | "done" | "failed" | "proposed" | "vetoed" | "other";
            /** @description The beginning of its arguments, with escapes. Only of tools whose arguments may be seen. */
            arguments?: string;
        };
        Conversation: {
            conversation: components["schemas"]["ConversationName"];
            /** @description With whom. It stays the same. */
            agent: string;
            /** @description How many jobs were accepted for it. */
            turns: number;
            /** @description How many of them may still be open. */
            open: number;
            created_at: components["schemas"]["Timestamp"];
            updated_at: components["schemas"]["Timestamp"];
            /**
             * @description It is being deleted; nothing more is accepted for it.
             * @constant
             */
            ending?: true;
        };
        ConversationPage: {
            conversations: components["schemas"]["Conversation"][];
            /** @description Absent on the last page. */
            next_cursor?: string;
        };
        JobError: {
            code: components["schemas"]["JobErrorCode"];
            /** @description For people. May change. */
            message: string;
        };
        /** @description What was learnt about an `unknown` job later. Written once; the status stays `unknown`. */
        Resolution: {
            /** @enum {string} */
            by: "journal" | "operator";
            /** @description The operator's words. */
            note?: string;
            /** @description Whether the write ran. */
            happened: boolean;
            at: components["schemas"]["Timestamp"];
        };
        JobPage: {
            jobs: components["schemas"]["Job"][];
            /** @description Absent on the last page. */
            next_cursor?: string;
        };
        AuditChain: {
            request_id: components["schemas"]["RequestIdText"];
            records: components["schemas"]["AuditRecord"][];
            head: {
                length: number;
                digest: components["schemas"]["Digest"];
            };
            /** @description The job's own HMAC-SHA256 key. Absent once the payload is gone. */
            digest_key?: components["schemas"]["Digest"];
        };
        AuditRecord: components["schemas"]["AuditAccepted"] | components["schemas"]["AuditApprovalAsked"] | components["schemas"]["AuditApprovalDecided"] | components["schemas"]["AuditApprovalLapsed"] | components["schemas"]["AuditExplained"] | components["schemas"]["AuditDerived"] | components["schemas"]["AuditIntended"] | components["schemas"]["AuditTurnSent"] | components["schemas"]["AuditRoundEnded"] | components["schemas"]["AuditEnded"] | components["schemas"]["AuditCancelRequested"] | components["schemas"]["AuditResolved"];
        AuditCommon: {
            /** @constant */
            v: 1;
            request_id: components["schemas"]["RequestIdText"];
            seq: number;
            at: components["schemas"]["Timestamp"];
            /** @enum {string} */
            actor: "user" | "worker" | "operator";
            /** @description The number of the submitted step. */
            step: number;
            /** @description The place within that step. Absent for what was submitted. */
            round?: number;
            /** @description The tool; of a turn, and of the deletion of a conversation, the agent. */
            tool: string;
            policy_version: components["schemas"]["PolicyVersion"];
            /** @description Digest of the record before; 43 `A` for the first. */
            prev: components["schemas"]["Digest"];
        };
        /**
         * @description The job's own state. `waiting`, a call that is out, reads as `running` everywhere else.
         * @enum {string}
         */
        AuditJobState: "queued" | "running" | "waiting" | "retrying" | "awaiting_approval" | "succeeded" | "failed" | "refused" | "explained" | "cancelled" | "expired" | "unknown";
        /** @enum {string} */
        AuditPolicyDecision: "run" | "run_if_user_approves" | "run_if_operator_approves";
        /** @description The policies that made the decision. Absent when there is none to name. */
        AuditPolicies: string[];
        /** @description The edge decided and recorded the job. */
        AuditAccepted: {
            /** @constant */
            event?: "accepted";
            /**
             * @description About the first step.
             * @enum {string}
             */
            decision: "run" | "run_if_user_approves" | "run_if_operator_approves" | "explain";
            policies?: components["schemas"]["AuditPolicies"];
            submission_digest: components["schemas"]["Digest"];
            /** @description The same for each further step that was complete. The others are decided when it is their turn. */
            later?: {
                step: number;
                /** @description The tool, or the agent. */
                tool: string;
                /** @enum {string} */
                decision: "run" | "run_if_user_approves" | "run_if_operator_approves" | "explain";
                policies?: components["schemas"]["AuditPolicies"];
            }[];
        } & components["schemas"]["AuditCommon"];
        /** @description The step needs a yes. */
        AuditApprovalAsked: {
            /** @constant */
            event?: "approval_asked";
            /** @enum {string} */
            approver: "user" | "operator";
            digest: components["schemas"]["Digest"];
            expires_at: components["schemas"]["Timestamp"];
        } & components["schemas"]["AuditCommon"];
        /** @description The question was answered. */
        AuditApprovalDecided: {
            /** @constant */
            event?: "approval_decided";
            approved: boolean;
            digest: components["schemas"]["Digest"];
            /**
             * Format: uuid
             * @description Random; names an operator to operators only.
             */
            operator?: string;
        } & components["schemas"]["AuditCommon"];
        /** @description The question was not answered in time. */
        AuditApprovalLapsed: {
            /** @constant */
            event?: "approval_lapsed";
            digest: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        /** @description Nothing was called; what would have been was told. */
        AuditExplained: {
            /** @constant */
            event?: "explained";
            /** @constant */
            code: "mode_explain_only";
        } & components["schemas"]["AuditCommon"];
        /** @description What a step will send was worked out from earlier results. */
        AuditDerived: {
            /** @constant */
            event?: "derived";
            /** @description The submitted steps that it was worked out from. */
            from: number[];
            /** @description Of the arguments or of the message. */
            arguments_digest: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        /** @description The worker is about to send a round of a turn. */
        AuditTurnSent: {
            /** @constant */
            event?: "turn_sent";
            /**
             * @description `explain`: a run without any tool.
             * @enum {string}
             */
            decision: "run" | "explain";
            policies?: components["schemas"]["AuditPolicies"];
            /** @description What the round is sent under. */
            key: string;
            message_digest: components["schemas"]["Digest"];
            /** @description The reads that the agent may use by itself. */
            tools: string[];
            journal: string;
            boot: string;
        } & components["schemas"]["AuditCommon"];
        /** @description A round of a turn ended. It says what the agent called, and what becomes of what it proposed. */
        AuditRoundEnded: {
            /** @constant */
            event?: "round_ended";
            outcome: components["schemas"]["StepOutcome"];
            status: components["schemas"]["AuditJobState"];
            code?: components["schemas"]["JobErrorCode"];
            key: string;
            result_digest?: components["schemas"]["Digest"];
            /** @description In order, as far as the gateway's journal kept them. */
            calls?: {
                /** @description With escapes. */
                tool: string;
                /** @enum {string} */
                decision: "allowed" | "proposed" | "vetoed";
                arguments_digest?: components["schemas"]["Digest"];
                /** @description Of an allowed call whose end was seen. */
                failed?: boolean;
            }[];
            calls_total: number;
            proposals?: {
                /** @description Its place in the step. */
                round: number;
                /** @description With escapes. */
                tool: string;
                arguments_digest?: components["schemas"]["Digest"];
                /** @description What policy said, as in `intended`, or the code of the refusal. */
                decision: string;
                policies?: components["schemas"]["AuditPolicies"];
            }[];
        } & components["schemas"]["AuditCommon"];
        /** @description The worker decided and is about to send a write. */
        AuditIntended: {
            /** @constant */
            event?: "intended";
            /** @description What policy said now. Where it asks for a yes, one that is strong enough was given. */
            decision: components["schemas"]["AuditPolicyDecision"];
            policies?: components["schemas"]["AuditPolicies"];
            /** @description What the call is sent under. */
            key: string;
            arguments_digest: components["schemas"]["Digest"];
            /** @description Absent for a call without a journal. */
            journal?: string;
            boot?: string;
        } & components["schemas"]["AuditCommon"];
        /** @description A step ended. */
        AuditEnded: {
            /** @constant */
            event?: "ended";
            outcome: components["schemas"]["StepOutcome"];
            status: components["schemas"]["AuditJobState"];
            code?: components["schemas"]["JobErrorCode"];
            /** @description Absent when there was no call. */
            key?: string;
            /** @description Absent when they were no longer stored. */
            arguments_digest?: components["schemas"]["Digest"];
            result_digest?: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        /** @description The owner asked to stop. */
        AuditCancelRequested: {
            /** @constant */
            event?: "cancel_requested";
            status: components["schemas"]["AuditJobState"];
        } & components["schemas"]["AuditCommon"];
        /** @description An unknown outcome became known. */
        AuditResolved: {
            /** @constant */
            event?: "resolved";
            happened: boolean;
            /**
             * @description Absent for the journal.
             * @constant
             */
            by?: "operator";
            /** Format: uuid */
            operator?: string;
            /** @description SHA-256 of the operator's note. */
            note_digest?: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        Tools: {
            tools: components["schemas"]["Tool"][];
        };
        Tool: {
            name: string;
            title: string;
            /** @enum {string} */
            effect: "read" | "write" | "destructive";
            /**
             * @description Whose yes a call with the arguments of `example` takes.
             * @enum {string}
             */
            approval: "none" | "user" | "operator";
            /** @description JSON Schema (draft 2020-12) of `arguments`. */
            schema: Record<string, unknown>;
            /** @description Arguments that the schema accepts. */
            example: Record<string, unknown>;
        };
        Agents: {
            agents: {
                name: string;
                title: string;
            }[];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
