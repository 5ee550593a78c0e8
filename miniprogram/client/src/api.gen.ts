// Generated from openapi.yaml by scripts/types.mjs. Do not edit.
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @enum {string} */
        Code: "no_session" | "login_code_rejected" | "erasure_open" | "erasure_other_user" | "login_blocked" | "login_limited" | "wechat_unavailable" | "request_malformed" | "idempotency_key_missing" | "idempotency_key_malformed" | "request_id_in_future" | "request_id_expired" | "request_id_erased" | "idempotency_key_reused" | "body_too_large" | "content_type_unsupported" | "body_not_json" | "body_too_deep" | "body_duplicate_key" | "body_number" | "body_invalid" | "parameter_invalid" | "cursor_invalid" | "arguments_invalid" | "not_after_invalid" | "notification_unknown" | "deadline_invalid" | "conversation_other_agent" | "conversation_ending" | "conversations_full" | "conversation_full" | "arguments_not_showable" | "tool_unknown" | "agent_unknown" | "policy_denied" | "policy_error" | "mode_read_only" | "mode_closed" | "tool_closed" | "tool_not_opened" | "audit_unproven" | "approval_by_operator" | "approval_other_user" | "approval_own_request" | "no_operator" | "host_not_allowed" | "operator_forbidden" | "job_unreadable" | "job_not_unknown" | "already_resolved" | "approval_not_asked" | "approval_digest_mismatch" | "approval_decided" | "approval_expired" | "text_not_held" | "text_digest_mismatch" | "text_decided" | "text_decision_expired" | "not_found" | "method_not_allowed" | "job_over" | "job_busy" | "ring_over" | "event_refused" | "rate_limited" | "in_flight_full" | "unavailable" | "internal";
        Problem: {
            type: string;
            title: string;
            status: number;
            code: components["schemas"]["Code"];
            detail?: string;
            errors?: components["schemas"]["ArgumentFault"][];
            server_time?: components["schemas"]["Timestamp"];
            step?: number;
            pointer?: string;
            job_status?: components["schemas"]["JobStatus"];
            /** @enum {string} */
            parameter?: "wait" | "limit" | "cursor" | "state" | "minutes";
        };
        ArgumentFault: {
            pointer: string;
            message: string;
        };
        /** Format: date-time */
        Timestamp: string;
        TimeInput: string | number;
        RequestIdText: string;
        Digest: string;
        PolicyVersion: string;
        LogIn: {
            code: string;
        };
        Erasure: {
            /** Format: uuid */
            erasure_id: string;
            user_id: components["schemas"]["UserId"];
            /** @enum {string} */
            status: "running" | "waiting_for_gateway" | "done";
            /** @enum {string} */
            reason: "user_request" | "authorization_cancelled";
            requested_at: components["schemas"]["Timestamp"];
            logins_deleted_at?: components["schemas"]["Timestamp"];
            table_erased_at?: components["schemas"]["Timestamp"];
            gateway_erased_at?: components["schemas"]["Timestamp"];
            finished_at?: components["schemas"]["Timestamp"];
            erased: components["schemas"]["ErasedCounts"];
        };
        ErasedCounts: {
            jobs: number;
            submissions: number;
            results: number;
            conversations: number;
            refusals: number;
            logins: number;
            others: number;
            journal_rows: number;
        };
        UserExport: {
            user_id: components["schemas"]["UserId"];
            exported_at: components["schemas"]["Timestamp"];
            items: components["schemas"]["ExportedItem"][];
            next_cursor?: string;
        };
        ExportedItem: {
            kind: string;
        } & {
            [key: string]: unknown;
        };
        ApprovalDecision: {
            /** @enum {string} */
            decision: "approve" | "reject";
            digest: components["schemas"]["Digest"];
            code?: string;
        };
        Session: {
            token: string;
            /** @constant */
            token_type: "Bearer";
            expires_at: components["schemas"]["Timestamp"];
            user_id: components["schemas"]["UserId"];
        };
        Submission: (components["schemas"]["CallStep"] & components["schemas"]["Times"]) | ({
            message?: string;
        } & (components["schemas"]["TurnStep"] & components["schemas"]["Times"])) | ({
            steps: (components["schemas"]["CallStep"] | components["schemas"]["TurnStep"])[];
        } & components["schemas"]["Times"]);
        CallStep: {
            tool: string;
            arguments: Record<string, unknown>;
            deadline_s?: components["schemas"]["StepDeadline"];
        };
        TurnStep: {
            message: string | (string | components["schemas"]["Reference"])[];
            /** @default main */
            agent?: string;
            conversation?: components["schemas"]["ConversationName"];
            deadline_s?: components["schemas"]["StepDeadline"];
        };
        Reference: {
            $from: {
                step: number;
                pointer: string;
            };
        };
        ConversationName: string;
        StepDeadline: number;
        Times: {
            not_after?: components["schemas"]["TimeInput"];
            deadline?: components["schemas"]["TimeInput"];
            notify?: components["schemas"]["NotificationName"];
            sent_at?: components["schemas"]["TimeInput"];
        };
        NotificationName: string;
        AcceptedNotifications: {
            accepted: components["schemas"]["NotificationName"][];
        };
        JobNotification: {
            name: components["schemas"]["NotificationName"];
            /** @enum {string} */
            status: "requested" | "sending" | "sent" | "delayed" | "not_sent" | "unknown";
            code?: string;
            at?: components["schemas"]["Timestamp"];
        };
        /** @enum {string} */
        JobStatus: "queued" | "running" | "retrying" | "awaiting_approval" | "succeeded" | "failed" | "refused" | "explained" | "cancelled" | "expired" | "unknown";
        /** @enum {string} */
        Effect: "not_run" | "ran" | "unknown";
        /** @enum {string} */
        StepOutcome: "succeeded" | "failed" | "refused" | "not_run" | "unknown";
        /** @enum {string} */
        JobErrorCode: "tool_failed" | "tool_unavailable" | "tool_blocked" | "gateway_request_rejected" | "attempts_exhausted" | "not_after_passed" | "cancelled" | "outcome_unknown" | "payload_missing" | "payload_unreadable" | "tool_unknown" | "agent_unknown" | "tool_changed" | "arguments_invalid" | "arguments_not_showable" | "deadline_passed" | "derived_missing" | "derived_invalid" | "conversation_other_agent" | "conversation_ending" | "model_failed" | "model_refused" | "reply_empty" | "turn_lost" | "turn_timed_out" | "turn_aborted" | "refused_by_gateway" | "calls_exhausted" | "rounds_exhausted" | "content_refused" | "content_undecided" | "content_unchecked" | "reply_refused" | "reply_undecided" | "reply_unchecked" | "policy_denied" | "policy_error" | "approval_rejected" | "approval_expired" | "approval_insufficient" | "mode_explain_only" | "mode_read_only" | "mode_closed" | "tool_closed" | "tool_not_opened" | "audit_unproven";
        Job: {
            request_id: components["schemas"]["RequestIdText"];
            status: components["schemas"]["JobStatus"];
            effect?: components["schemas"]["Effect"];
            cursor: number;
            steps: components["schemas"]["Step"][];
            result?: unknown;
            error?: components["schemas"]["JobError"];
            approval?: components["schemas"]["Approval"];
            held?: components["schemas"]["HeldText"];
            notification?: components["schemas"]["JobNotification"];
            resolution?: components["schemas"]["Resolution"];
            /** @constant */
            cancel_requested?: true;
            next_poll_ms?: number;
            support_code: components["schemas"]["SupportCode"];
            not_after: components["schemas"]["Timestamp"];
            deadline?: components["schemas"]["Timestamp"];
            created_at: components["schemas"]["Timestamp"];
            updated_at: components["schemas"]["Timestamp"];
        };
        HeldText: {
            place: number;
            /** @enum {string} */
            what: "arguments" | "message" | "reply";
            /** @enum {string} */
            code: "content_held" | "reply_held";
            message: string;
            expires_at: components["schemas"]["Timestamp"];
        };
        TurnResult: {
            reply: string;
            /** @constant */
            ai_generated?: true;
            /** @constant */
            truncated?: true;
        };
        Approval: {
            place: number;
            /** @constant */
            proposed?: true;
            /** @constant */
            derived?: true;
            /** @enum {string} */
            approver: "user" | "operator";
            digest: components["schemas"]["Digest"];
            title: string;
            summary: string;
            arguments?: Record<string, unknown>;
            expires_at: components["schemas"]["Timestamp"];
            /** @enum {string} */
            decision?: "approve" | "reject";
            /** @enum {string} */
            by?: "user" | "operator";
            at?: components["schemas"]["Timestamp"];
        };
        Explanation: {
            title: string;
            summary?: string;
            arguments: Record<string, unknown>;
            /** @enum {string} */
            decision: "run" | "run_if_user_approves" | "run_if_operator_approves" | "undecided";
            /** @constant */
            why: "mode_explain_only";
        };
        StepCommon: {
            /** @enum {string} */
            kind: "call" | "turn" | "end";
            tool?: string;
            agent?: string;
            conversation?: components["schemas"]["ConversationName"];
            step: number;
            round: number;
            /** @constant */
            proposed?: true;
            /** @constant */
            derived?: true;
            outcome?: components["schemas"]["StepOutcome"];
            error?: components["schemas"]["JobError"];
            progress?: components["schemas"]["Progress"][];
            partial?: string;
        };
        Step: components["schemas"]["StepCommon"];
        WholeStep: {
            result?: unknown;
        } & components["schemas"]["StepCommon"];
        Progress: {
            at: components["schemas"]["Timestamp"];
            /** @enum {string} */
            doing: "thinking" | "tool" | "replying" | "other";
            tool?: string;
            /** @enum {string} */
            state?: "running" | "done" | "failed" | "proposed" | "vetoed" | "other";
            arguments?: string;
        };
        Conversation: {
            conversation: components["schemas"]["ConversationName"];
            agent: string;
            turns: number;
            open: number;
            created_at: components["schemas"]["Timestamp"];
            updated_at: components["schemas"]["Timestamp"];
            /** @constant */
            ending?: true;
        };
        ConversationPage: {
            conversations: components["schemas"]["Conversation"][];
            next_cursor?: string;
        };
        JobError: {
            code: components["schemas"]["JobErrorCode"];
            message: string;
        };
        Resolution: {
            /** @enum {string} */
            by: "journal" | "operator";
            note?: string;
            happened: boolean;
            at: components["schemas"]["Timestamp"];
        };
        JobPage: {
            jobs: components["schemas"]["Job"][];
            next_cursor?: string;
        };
        AuditChain: {
            request_id: components["schemas"]["RequestIdText"];
            records: components["schemas"]["AuditRecord"][];
            head: {
                length: number;
                digest: components["schemas"]["Digest"];
            };
            digest_key?: components["schemas"]["Digest"];
        };
        AuditRecord: components["schemas"]["AuditAccepted"] | components["schemas"]["AuditApprovalAsked"] | components["schemas"]["AuditApprovalDecided"] | components["schemas"]["AuditApprovalLapsed"] | components["schemas"]["AuditTextHeld"] | components["schemas"]["AuditTextDecided"] | components["schemas"]["AuditTextLapsed"] | components["schemas"]["AuditExplained"] | components["schemas"]["AuditDerived"] | components["schemas"]["AuditIntended"] | components["schemas"]["AuditTurnSent"] | components["schemas"]["AuditRoundEnded"] | components["schemas"]["AuditEnded"] | components["schemas"]["AuditCancelRequested"] | components["schemas"]["AuditResolved"];
        AuditCommon: {
            /** @constant */
            v: 1;
            request_id: components["schemas"]["RequestIdText"];
            seq: number;
            at: components["schemas"]["Timestamp"];
            /** @enum {string} */
            actor: "user" | "worker" | "operator";
            step: number;
            round?: number;
            tool: string;
            policy_version: components["schemas"]["PolicyVersion"];
            prev: components["schemas"]["Digest"];
        };
        /** @enum {string} */
        AuditJobState: "queued" | "running" | "waiting" | "retrying" | "awaiting_approval" | "succeeded" | "failed" | "refused" | "explained" | "cancelled" | "expired" | "unknown";
        /** @enum {string} */
        AuditPolicyDecision: "run" | "run_if_user_approves" | "run_if_operator_approves";
        AuditPolicies: string[];
        AuditAccepted: {
            /** @constant */
            event?: "accepted";
            /** @enum {string} */
            decision: "run" | "run_if_user_approves" | "run_if_operator_approves" | "explain";
            policies?: components["schemas"]["AuditPolicies"];
            submission_digest: components["schemas"]["Digest"];
            later?: {
                step: number;
                tool: string;
                /** @enum {string} */
                decision: "run" | "run_if_user_approves" | "run_if_operator_approves" | "explain";
                policies?: components["schemas"]["AuditPolicies"];
            }[];
        } & components["schemas"]["AuditCommon"];
        AuditApprovalAsked: {
            /** @constant */
            event?: "approval_asked";
            /** @enum {string} */
            approver: "user" | "operator";
            digest: components["schemas"]["Digest"];
            expires_at: components["schemas"]["Timestamp"];
        } & components["schemas"]["AuditCommon"];
        AuditApprovalDecided: {
            /** @constant */
            event?: "approval_decided";
            approved: boolean;
            digest: components["schemas"]["Digest"];
            /** Format: uuid */
            operator?: string;
        } & components["schemas"]["AuditCommon"];
        AuditApprovalLapsed: {
            /** @constant */
            event?: "approval_lapsed";
            digest: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        AuditTextHeld: {
            /** @constant */
            event?: "text_held";
            /** @enum {string} */
            what: "arguments" | "message" | "reply";
            digest: components["schemas"]["Digest"];
            expires_at: components["schemas"]["Timestamp"];
            content: components["schemas"]["AuditContentFinding"];
        } & components["schemas"]["AuditCommon"];
        AuditTextDecided: {
            /** @constant */
            event?: "text_decided";
            passed: boolean;
            digest: components["schemas"]["Digest"];
            /** Format: uuid */
            operator: string;
        } & components["schemas"]["AuditCommon"];
        AuditTextLapsed: {
            /** @constant */
            event?: "text_lapsed";
            digest: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        AuditExplained: {
            /** @constant */
            event?: "explained";
            /** @constant */
            code: "mode_explain_only";
        } & components["schemas"]["AuditCommon"];
        AuditDerived: {
            /** @constant */
            event?: "derived";
            from: number[];
            arguments_digest: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        AuditTurnSent: {
            /** @constant */
            event?: "turn_sent";
            /** @enum {string} */
            decision: "run" | "explain";
            policies?: components["schemas"]["AuditPolicies"];
            key: string;
            message_digest: components["schemas"]["Digest"];
            tools: string[];
            journal: string;
            boot: string;
        } & components["schemas"]["AuditCommon"];
        AuditRoundEnded: {
            /** @constant */
            event?: "round_ended";
            outcome: components["schemas"]["StepOutcome"];
            status: components["schemas"]["AuditJobState"];
            code?: components["schemas"]["JobErrorCode"];
            key: string;
            result_digest?: components["schemas"]["Digest"];
            calls?: {
                tool: string;
                /** @enum {string} */
                decision: "allowed" | "proposed" | "vetoed";
                arguments_digest?: components["schemas"]["Digest"];
                failed?: boolean;
            }[];
            calls_total: number;
            proposals?: {
                round: number;
                tool: string;
                arguments_digest?: components["schemas"]["Digest"];
                decision: string;
                policies?: components["schemas"]["AuditPolicies"];
            }[];
            content?: components["schemas"]["AuditContentFinding"];
        } & components["schemas"]["AuditCommon"];
        AuditIntended: {
            /** @constant */
            event?: "intended";
            decision: components["schemas"]["AuditPolicyDecision"];
            policies?: components["schemas"]["AuditPolicies"];
            key: string;
            arguments_digest: components["schemas"]["Digest"];
            journal?: string;
            boot?: string;
        } & components["schemas"]["AuditCommon"];
        AuditEnded: {
            /** @constant */
            event?: "ended";
            outcome: components["schemas"]["StepOutcome"];
            status: components["schemas"]["AuditJobState"];
            code?: components["schemas"]["JobErrorCode"];
            key?: string;
            arguments_digest?: components["schemas"]["Digest"];
            result_digest?: components["schemas"]["Digest"];
            content?: components["schemas"]["AuditContentFinding"];
        } & components["schemas"]["AuditCommon"];
        AuditContentFinding: {
            /** @enum {string} */
            decision: "hold" | "refuse";
            /** @enum {string} */
            suggestion: "review" | "risky";
            /** @enum {string} */
            label: "normal" | "advertising" | "politics" | "porn" | "abuse" | "crime" | "fraud" | "vulgar" | "copyright" | "other";
        };
        AuditCancelRequested: {
            /** @constant */
            event?: "cancel_requested";
            status: components["schemas"]["AuditJobState"];
        } & components["schemas"]["AuditCommon"];
        AuditResolved: {
            /** @constant */
            event?: "resolved";
            happened: boolean;
            /** @constant */
            by?: "operator";
            /** Format: uuid */
            operator?: string;
            note_digest?: components["schemas"]["Digest"];
        } & components["schemas"]["AuditCommon"];
        Tools: {
            tools: components["schemas"]["Tool"][];
            notifications: components["schemas"]["Notification"][];
        };
        Notification: {
            name: components["schemas"]["NotificationName"];
            title: string;
            template_id: string;
        };
        Tool: {
            name: string;
            title: string;
            /** @enum {string} */
            effect: "read" | "write" | "destructive";
            /** @enum {string} */
            approval: "none" | "user" | "operator";
            schema: Record<string, unknown>;
            example: Record<string, unknown>;
        };
        Agents: {
            agents: {
                name: string;
                title: string;
            }[];
        };
        SupportCode: string;
        /** Format: uuid */
        UserId: string;
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
