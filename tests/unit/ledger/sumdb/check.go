// An independent check of a Fovea ledger with Go's golang.org/x/mod/sumdb, which shares no code with us: the note's
// signature, every entry's hash against authenticated tiles, and record and tree proofs.
//
//	go run check.go FOLDER VERIFIER-KEY
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tileFolder string

func (f tileFolder) Height() int { return 8 }

// C2SP tlog-tiles leaves out the height that Go puts into the path.
func (f tileFolder) path(t tlog.Tile) string {
	return filepath.Join(string(f), "tile", strings.TrimPrefix(t.Path(), "tile/8/"))
}

func (f tileFolder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		data, err := os.ReadFile(f.path(t))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func (f tileFolder) SaveTiles([]tlog.Tile, [][]byte) {}

func fail(format string, args ...any) {
	fmt.Printf("FAIL "+format+"\n", args...)
	os.Exit(1)
}

// The entries of bundle n, each behind its big-endian uint16 length.
func bundle(folder string, n, width int64) [][]byte {
	t := tlog.Tile{H: 8, L: 0, N: n, W: int(width)}
	path := strings.Replace(tileFolder(folder).path(t), "tile/0/", "tile/entries/", 1)
	data, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	var out [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			fail("bundle %d is cut short", n)
		}
		size := 2 + int(binary.BigEndian.Uint16(data))
		out = append(out, data[2:size])
		data = data[size:]
	}
	if int64(len(out)) != width {
		fail("bundle %d has %d entries, expected %d", n, len(out), width)
	}
	return out
}

func main() {
	folder := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	if err != nil {
		fail("key: %v", err)
	}
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		fail("%v", err)
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		fail("note: %v", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		fail("checkpoint text: %q", opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("size: %v", err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		fail("root: %v", err)
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	hashes := tlog.TileHashReader(tree, tileFolder(folder))

	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		var indexes []int64
		for i := int64(0); i < width; i++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, n*256+i))
		}
		stored, err := hashes.ReadHashes(indexes)
		if err != nil {
			fail("tile %d: %v", n, err)
		}
		for i, entry := range bundle(folder, n, width) {
			if tlog.RecordHash(entry) != stored[i] {
				fail("entry %d does not have its hash", n*256+int64(i))
			}
		}
	}
	for _, index := range []int64{0, size / 3, size - 1} {
		proof, err := tlog.ProveRecord(size, index, hashes)
		if err != nil {
			fail("record proof of %d: %v", index, err)
		}
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			fail("leaf %d: %v", index, err)
		}
		if err := tlog.CheckRecord(proof, size, tree.Hash, index, leaf[0]); err != nil {
			fail("record %d: %v", index, err)
		}
		fmt.Printf("record %d", index)
		for _, hash := range proof {
			fmt.Printf(" %x", hash[:])
		}
		fmt.Println()
	}
	for _, older := range []int64{1, size/2 + 1, size} {
		hash, err := tlog.TreeHash(older, hashes)
		if err != nil {
			fail("tree hash of %d: %v", older, err)
		}
		proof, err := tlog.ProveTree(size, older, hashes)
		if err != nil {
			fail("tree proof from %d: %v", older, err)
		}
		if err := tlog.CheckTree(proof, size, tree.Hash, older, hash); err != nil {
			fail("tree %d: %v", older, err)
		}
		fmt.Printf("tree %d", older)
		for _, hash := range proof {
			fmt.Printf(" %x", hash[:])
		}
		fmt.Println()
	}
	fmt.Printf("verified %d\n", size)
}
