//go:build tools

// Pins the programs that the rig builds from this module.
package tools

import _ "github.com/minio/minio"
