# Everything a newcomer needs. Nothing is written outside the checkout: see .local/ and target/.
.DEFAULT_GOAL := help
.PHONY: help check soak demo run engines console miniprogram contract test rehearse drill deploy fmt lint openclaw build lint-template dashboard
PORT ?= 8787
ARGS ?=
STAGE ?= test
PARAMETERS ?=
LOCAL := target/debug/local

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## A real gateway, the service, and a Mini Program that checks every answer; leaves nothing running
	@scripts/prepare.sh
	@$(LOCAL) demo

run: ## The service on http://127.0.0.1:8787 until Ctrl-C (PORT= and ARGS= are passed on)
	@scripts/prepare.sh
	@exec $(LOCAL) run --dev --port $(PORT) $(ARGS)

engines: ## Table and queue alone, with the environment for `cargo lambda watch`
	@scripts/prepare.sh --without-openclaw
	@exec $(LOCAL) engines $(ARGS)

check: ## Format, lints, unit tests and the flows of a job: the loop while you edit
	@scripts/check.sh

soak: ## The fault sweeps whole, of which `make test` takes a sample
	SOAK=1 cargo test --workspace --locked --test 'it-*' -- --nocapture crashes:: chaos:: policy:: approvals::faults approvals::races

test: ## Format check, lints, every test, the real gateway included
	@scripts/test.sh $(TEST_FLAGS)

contract: ## Hold the service against openapi.yaml with generated requests (ARGS="--cases 150" takes longer)
	@scripts/prepare.sh
	@scripts/contract.sh $(ARGS)

rehearse: ## Build, deploy, update, roll back, restore and delete the whole service, against an emulator of AWS
	@scripts/rehearse.sh

drill: ## Only the restore of a lost table, against an emulator of AWS
	@scripts/rehearse.sh drill

deploy: ## Deploy to AWS: make deploy STAGE=test PARAMETERS="OpenclawBaseUrl=https://... WechatAppId=wx..."
	@scripts/deploy.sh $(STAGE) $(PARAMETERS)

fmt: ## Format the Rust code
	cargo fmt --all

lint: ## Lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

lint-template: ## Expand template.yaml for each stage, lint it, print what each function may do
	@scripts/lint-template.sh

dashboard: ## Draw docs/images/dashboard.png from a run with injected faults
	@scripts/plot-dashboard.sh

console: ## Build the operator's page, which `make run` then serves under /console/
	@scripts/console.sh build

miniprogram: ## Check, build and test the client of Mini Programs and the sample, and simulate phones
	@scripts/miniprogram.sh
	@scripts/miniprogram-sample.sh

openclaw: ## Install the pinned Node and OpenClaw under .local/openclaw
	@scripts/need.sh npm
	@scripts/install-openclaw.sh

build: ## Build everything
	cargo build --workspace
