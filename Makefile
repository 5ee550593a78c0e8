# Everything a newcomer needs. Nothing is written outside the checkout: see .local/ and target/.
.DEFAULT_GOAL := help
.PHONY: help check soak demo run engines console miniprogram contract test rehearse drill deploy first-deploy package host fmt lint openclaw build lint-template
PORT ?= 8787
ARGS ?=
STAGE ?= test
PARAMETERS ?=
LOCAL := target/debug/local

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## A real gateway, the service, and a Mini Program that checks every answer; leaves nothing running
	@scripts/dev/prepare.sh
	@$(LOCAL) demo

run: ## The service on http://127.0.0.1:8787 until Ctrl-C (PORT= and ARGS= are passed on)
	@scripts/dev/prepare.sh
	@exec $(LOCAL) run --dev --port $(PORT) $(ARGS)

engines: ## Table and queue alone, with the environment for `cargo lambda watch`
	@scripts/dev/prepare.sh --without-openclaw
	@exec $(LOCAL) engines $(ARGS)

check: ## Format, lints, unit tests and the flows of a job: the loop while you edit
	@scripts/dev/check.sh

soak: openclaw ## Every case of the fault sweeps, of which `make test` takes a sample
	SOAK=1 cargo test --workspace --locked --test 'it-*' -- --nocapture
	cargo test --workspace --locked --test gateway -- --test-threads=1 --nocapture --ignored

test: ## Format check, lints, every test, the real gateway included
	@scripts/dev/test.sh $(TEST_FLAGS)

contract: ## Hold the service against openapi.yaml with generated requests (ARGS="--cases 150" takes longer)
	@scripts/dev/prepare.sh
	@scripts/dev/contract.sh $(ARGS)

rehearse: ## Build, deploy, update, roll back, restore and delete the whole service, against an emulator of AWS
	@scripts/rehearse/rehearse.sh

drill: ## Only the restore of a lost table, against an emulator of AWS
	@scripts/rehearse/rehearse.sh drill

first-deploy: ## From a clone to a first answer on AWS, with the PARAMETERS of `make deploy`: docs/operate/deploy.md
	@scripts/deploy/first-deploy.sh $(STAGE) $(PARAMETERS)

deploy: ## Deploy to AWS: make deploy STAGE=test PARAMETERS="OpenclawBaseUrl=https://... WechatAppId=wx..."
	@scripts/deploy/deploy.sh $(STAGE) $(PARAMETERS)

package: ## The Debian package of one host, in target/package (ARGS="--program target/debug/local" takes a program as it is)
	@python3 -B scripts/deploy/package.py $(ARGS)

host: ## Walk the package's life (install, job, kill, reboot, restore, upgrade) under systemd in a chroot; needs root (ARGS="--gateway real")
	@python3 -B scripts/host/main.py $(ARGS)

fmt: ## Format the Rust code
	cargo fmt --all

lint: ## Lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

lint-template: ## Expand template.yaml for each stage, lint it, print what each function may do
	@scripts/deploy/lint-template.sh

console: ## Build the operator's page, which `make run` then serves under /console/
	@scripts/dev/console.sh build

miniprogram: ## Check, build and test the client of Mini Programs and the sample, and simulate phones
	@scripts/dev/miniprogram.sh
	@scripts/dev/miniprogram-sample.sh

openclaw: ## Install the pinned Node and OpenClaw under .local/openclaw
	@scripts/dev/need.sh npm
	@scripts/openclaw/install.sh

build: ## Build everything
	cargo build --workspace
