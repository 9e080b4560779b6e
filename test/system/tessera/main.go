// Command tessera reads a log as anybody may who knows no more of ciphertrail than the specifications: by the client library of
// Tessera, over HTTP. It prints one object of JSON; an error is one line and exit code 1.
//
//	tessera -url URL -key FILE [-since CHECKPOINT]   checkpoint, proofs of inclusion and of consistency, every entry
//	tessera -key FILE -proof FILE                    a c2sp.org/tlog-proof@v1 whose extra data is the leaf
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	formatsnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

var hasher = rfc6962.DefaultHasher

// Up to this size every leaf is proved; in a larger log those at the edges of tiles.
const everyLeafUpTo = 300

type answer struct {
	Size        uint64 `json:"size"`
	Root        string `json:"root"`
	Entries     uint64 `json:"entries"`
	Inclusion   int    `json:"inclusionProofs"`
	Consistency int    `json:"consistencyProofs"`
	Index       uint64 `json:"index"`
	Leaf        string `json:"leaf,omitempty"`
}

func main() {
	logURL := flag.String("url", "", "where the log is served")
	keyFile := flag.String("key", "", "file with the public key of the log")
	since := flag.String("since", "", "file with an earlier checkpoint")
	proofFile := flag.String("proof", "", "file with a proof")
	flag.Parse()
	result, err := run(context.Background(), *logURL, *keyFile, *since, *proofFile)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, logURL, keyFile, since, proofFile string) (*answer, error) {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	verifier, err := formatsnote.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return nil, err
	}
	if proofFile != "" {
		return checkProof(proofFile, verifier)
	}
	return checkLog(ctx, logURL, since, verifier)
}

func checkLog(ctx context.Context, logURL, since string, verifier note.Verifier) (*answer, error) {
	root, err := url.Parse(logURL)
	if err != nil {
		return nil, err
	}
	fetcher, err := client.NewHTTPFetcher(root, nil)
	if err != nil {
		return nil, err
	}
	var before []byte
	if since != "" {
		if before, err = os.ReadFile(since); err != nil {
			return nil, err
		}
	}
	consensus := client.UnilateralConsensus(fetcher.ReadCheckpoint)
	tracker, err := client.NewLogStateTracker(ctx, fetcher.ReadTile, before, verifier, verifier.Name(), consensus)
	if err != nil {
		return nil, err
	}
	if _, _, _, err := tracker.Update(ctx); err != nil {
		return nil, err
	}
	latest := tracker.Latest()
	result := &answer{Size: latest.Size, Root: base64.StdEncoding.EncodeToString(latest.Hash)}

	leaves, err := readLeafHashes(ctx, fetcher, latest.Size)
	if err != nil {
		return nil, err
	}
	result.Entries = uint64(len(leaves))
	builder, err := client.NewProofBuilder(ctx, latest.Size, fetcher.ReadTile)
	if err != nil {
		return nil, err
	}
	for _, index := range chosen(latest.Size) {
		hashes, err := builder.InclusionProof(ctx, index)
		if err != nil {
			return nil, err
		}
		if err := proof.VerifyInclusion(hasher, index, latest.Size, leaves[index], hashes, latest.Hash); err != nil {
			return nil, fmt.Errorf("inclusion of leaf %d: %w", index, err)
		}
		result.Inclusion++
	}
	for _, index := range chosen(latest.Size) {
		smaller := index + 1
		root, err := rootOf(leaves[:smaller])
		if err != nil {
			return nil, err
		}
		hashes, err := builder.ConsistencyProof(ctx, smaller, latest.Size)
		if err != nil {
			return nil, err
		}
		if err := proof.VerifyConsistency(hasher, smaller, latest.Size, hashes, root, latest.Hash); err != nil {
			return nil, fmt.Errorf("consistency with size %d: %w", smaller, err)
		}
		result.Consistency++
	}
	return result, nil
}

func readLeafHashes(ctx context.Context, fetcher *client.HTTPFetcher, size uint64) ([][]byte, error) {
	leaves := make([][]byte, 0, size)
	for bundle := uint64(0); bundle*256 < size; bundle++ {
		entries, err := client.GetEntryBundle(ctx, fetcher.ReadEntryBundle, bundle, size)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries.Entries {
			leaves = append(leaves, hasher.HashLeaf(entry))
		}
	}
	if uint64(len(leaves)) != size {
		return nil, fmt.Errorf("there are %d entries for %d leaves", len(leaves), size)
	}
	return leaves, nil
}

func rootOf(leaves [][]byte) ([]byte, error) {
	tree := (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0)
	for _, leaf := range leaves {
		if err := tree.Append(leaf, nil); err != nil {
			return nil, err
		}
	}
	return tree.GetRootHash(nil)
}

// chosen gives the leaves that are proved, the last one always among them.
func chosen(size uint64) []uint64 {
	indexes := []uint64{}
	add := func(index uint64) {
		if index < size && (len(indexes) == 0 || indexes[len(indexes)-1] < index) {
			indexes = append(indexes, index)
		}
	}
	if size <= everyLeafUpTo {
		for index := uint64(0); index < size; index++ {
			add(index)
		}
		return indexes
	}
	for _, edge := range []uint64{0, 255, 256, 257, 511, 512, 1000, 32768, 65535, 65536, 69887, 69888, size - 1} {
		add(edge)
	}
	if indexes[len(indexes)-1] != size-1 {
		indexes = append(indexes, size-1)
	}
	return indexes
}

func checkProof(file string, verifier note.Verifier) (*answer, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	head, checkpoint, found := bytes.Cut(raw, []byte("\n\n"))
	if !found {
		return nil, fmt.Errorf("the proof has no checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, fmt.Errorf("not a tlog-proof with extra data")
	}
	extra, hasExtra := strings.CutPrefix(lines[1], "extra ")
	number, hasIndex := strings.CutPrefix(lines[2], "index ")
	if !hasExtra || !hasIndex {
		return nil, fmt.Errorf("the proof has no extra data, or no index")
	}
	leaf, err := base64.StdEncoding.Strict().DecodeString(extra)
	if err != nil {
		return nil, err
	}
	index, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return nil, err
	}
	hashes := [][]byte{}
	for _, line := range lines[3:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	signed, _, _, err := log.ParseCheckpoint(checkpoint, verifier.Name(), verifier)
	if err != nil {
		return nil, err
	}
	if err := proof.VerifyInclusion(hasher, index, signed.Size, hasher.HashLeaf(leaf), hashes, signed.Hash); err != nil {
		return nil, err
	}
	return &answer{Size: signed.Size, Root: base64.StdEncoding.EncodeToString(signed.Hash), Index: index, Leaf: hex.EncodeToString(leaf), Inclusion: 1}, nil
}
