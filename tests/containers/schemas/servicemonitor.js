// Reads a ServiceMonitor as JSON from standard input and checks it against the published schema.
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
import { readFileSync } from "node:fs";

new ServiceMonitor(JSON.parse(readFileSync(0, "utf8"))).validate();
