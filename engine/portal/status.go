package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// Status is the status file.
type Status struct {
	// Revision is that of the configuration in force.
	Revision string `json:"revision,omitempty"`
	// Error tells why the configuration file that was last read isn't in force. The one before it still is.
	Error    string          `json:"error,omitempty"`
	Forwards []ForwardStatus `json:"forwards"`
}

// ForwardStatus tells whether one forward listens.
type ForwardStatus struct {
	Name      string `json:"name"`
	Listening bool   `json:"listening"`
	Address   string `json:"address"`
	Error     string `json:"error,omitempty"`
}

// writeStatus replaces the file by a rename, so that a reader sees the old text or the new, never a part.
func writeStatus(path string, status Status) error {
	text, err := json.MarshalIndent(status, "", "  ")
	if err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		os.Remove(temporary)
		return err
	}
	return nil
}
