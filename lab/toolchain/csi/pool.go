package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const mebibyte = 1 << 20

// Disks get whole mebibytes, and at least what mkfs.xfs takes.
const smallest = 300 * mebibyte

// rounded is what a disk gets of whom asks for so many bytes.
func rounded(wanted int64) int64 {
	return max((wanted+mebibyte-1)/mebibyte*mebibyte, smallest)
}

// names are what external-provisioner makes of a claim: `pvc-` and its UID.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,127}$`)

// pool is a folder with a file for each disk, which together have no more than its room. A file takes of the machine's
// own disk only what was written to it.
type pool struct {
	folder string
	room   int64

	mutex sync.Mutex
}

// file is where a disk lies. A name that could be another path is no disk's.
func (p *pool) file(id string) (string, error) {
	if !names.MatchString(id) {
		return "", status.Errorf(codes.NotFound, "there is no disk %q", id)
	}
	return filepath.Join(p.folder, id+".img"), nil
}

// size of a disk, in bytes; NotFound where there is none.
func (p *pool) size(id string) (int64, error) {
	file, err := p.file(id)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, status.Errorf(codes.NotFound, "there is no disk %q", id)
	}
	if err != nil {
		return 0, status.Error(codes.Internal, err.Error())
	}
	return info.Size(), nil
}

// resize makes a disk of the size asked for, rounded up, or lets one grow to it; none gets smaller. OutOfRange where
// there is no room: asking again will not help, until somebody takes it back.
func (p *pool) resize(id string, wanted int64) (int64, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	wanted = rounded(wanted)
	file, err := p.file(id)
	if err != nil {
		return 0, err
	}
	has, err := p.size(id)
	if err != nil && status.Code(err) != codes.NotFound {
		return 0, err
	}
	if has >= wanted {
		return has, nil
	}
	taken, err := p.taken()
	if err != nil {
		return 0, status.Error(codes.Internal, err.Error())
	}
	if left := p.room - taken; wanted-has > left {
		return 0, status.Errorf(codes.OutOfRange,
			"no room for %d MiB: of %d MiB there are %d left beside the %d that the disk has",
			wanted/mebibyte, p.room/mebibyte, left/mebibyte, has/mebibyte)
	}
	if err := extend(file, wanted); err != nil {
		return 0, status.Error(codes.Internal, err.Error())
	}
	return wanted, nil
}

func extend(file string, size int64) error {
	opened, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(opened.Truncate(size), opened.Sync(), opened.Close())
}

// taken is what all disks have, in bytes.
func (p *pool) taken() (int64, error) {
	files, err := filepath.Glob(filepath.Join(p.folder, "*.img"))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, fmt.Errorf("size of the disks: %w", err)
		}
		sum += info.Size()
	}
	return sum, nil
}

// remove takes a disk away, with what it holds; one that is not there stays so.
func (p *pool) remove(id string) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	file, err := p.file(id)
	if err != nil {
		return nil
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}
