# The menu. Each recipe is one line; whatever needs an `if` lives in scripts/.
.DEFAULT_GOAL := help
.PHONY: help serve test build wheels pythons peers bench faults compare lint doc docs pictures compat soak fuzz proofs clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
serve: ## build, install into .venv and serve the example site with 2 processes x 5 threads
	@scripts/serve
test: ## every ring on every CPython, from a fresh machine on; RINGS="rust compat …" for some
	@scripts/test $(RINGS)
build: ## a release wheel of PYTHON (default python3), installed into VENV (default .venv)
	@scripts/build
wheels: ## release wheels for other machines and the source distribution, in dist/; ARGS="3.14 3.14t" for some CPythons
	@scripts/wheels $(ARGS)
pythons: ## provide CPython 3.11, 3.14, 3.14t and 3.15; prints NAME PATH lines; ARGS=3.15t, 3.13 or 3.12 for another
	@scripts/pythons $(ARGS)
peers: ## provide the servers that Gilkeeper is measured against
	@scripts/peers
bench: ## the tests that compare speeds, then requests/s, CPU and memory beside the peers, ratios last; ARGS=--quick for the short form, ARGS="--workloads all" for the table
	@scripts/test speed-3.14
	@scripts/bench $(ARGS)
faults: ## faults and overload beside the peers: failed requests, p50/p99 of bystanders, memory; ARGS=--quick for the short form
	@scripts/faults $(ARGS)
compare: ## the switch-interval table in both forms of the workload, under five minutes; PLAN=plans/… for another
	@scripts/compare $(ARGS)
lint: ## formatting, clippy, the house rules, licences
	@scripts/lint
docs: ## the site of the documents, in target/site: search, dark mode, nothing from elsewhere
	@scripts/docs
pictures: ## the documents' pictures of the dashboard, taken anew: docs/pictures
	@scripts/pictures
doc: ## the crates' documentation, in target/doc
	@scripts/with-python 3.14 cargo doc --workspace --no-deps
compat: ## the scenario suite on ours, then on mod_wsgi
	@scripts/test compat compat-mod_wsgi
soak: ## the soak's tests, then 200,000 requests and 1,000 starts of workers in each GIL mode; ARGS="--modes own …" for less
	@scripts/test soak-3.11 soak-3.14 soak-3.14t
	@scripts/soak $(ARGS)
fuzz: ## a minute of each fuzz target
	@scripts/fuzz
proofs: ## loom models of our synchronisation, miri on the value crates
	@scripts/proofs
clean: ## remove what was built in the tree
	@rm -rf target .venv .venv-* compat/.venv bench-results compare-results fuzz/target
