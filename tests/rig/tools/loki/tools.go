//go:build tools

// Pins the programs that the rig builds from this module.
package tools

import _ "github.com/grafana/loki/v3/cmd/loki"
