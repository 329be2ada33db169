// A vCenter or ESXi simulator on loopback: VMware's own (govmomi), for tests. Prints URL and certificate SHA-256.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io/ioutil"
	"log"
	"math/big"
	"net/url"
	"os"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

// Self-signed and CA:TRUE, as a host's own certificate is. (Go's built-in one has a key too short for today's clients.)
func certificate() tls.Certificate {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A clone in vcsim shares its disk objects with the image, and so renames the image's files. This gives it its own.
type ownDisks struct {
	owner map[*types.VirtualDisk]types.ManagedObjectReference
	saved map[*types.VirtualDisk]*types.VirtualDisk
}

func (*ownDisks) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "OwnDisks", Value: "own-disks"}
}
func (*ownDisks) PutObject(mo.Reference)                    {}
func (*ownDisks) RemoveObject(types.ManagedObjectReference) {}
func (o *ownDisks) UpdateObject(object mo.Reference, changes []types.PropertyChange) {
	vm, ok := object.(*mo.VirtualMachine)
	if !ok || changes[0].Name != "config.hardware.device" {
		return
	}
	for i, device := range vm.Config.Hardware.Device {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		if owner, taken := o.owner[disk]; taken && owner != vm.Self {
			mine := deepCopy(disk)
			*disk = *deepCopy(o.saved[disk])
			vm.Config.Hardware.Device[i] = mine
			disk = mine
		}
		o.owner[disk], o.saved[disk] = vm.Self, deepCopy(disk)
	}
}

func deepCopy(disk *types.VirtualDisk) *types.VirtualDisk {
	mine := *disk
	if backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
		own := *backing
		mine.Backing = &own
	}
	return &mine
}

func main() {
	vms := flag.Int("vms", 2, "VMs per resource pool")
	esx := flag.Bool("esx", false, "a standalone host")
	datastores := flag.Int("datastores", 2, "datastores")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	verbose := flag.Bool("v", false, "log to stderr")
	trace := flag.Bool("trace", false, "write SOAP traffic to stderr")
	flag.Parse()
	if !*verbose {
		log.SetOutput(ioutil.Discard)
	}
	simulator.Trace = *trace
	model := simulator.VPX()
	if *esx {
		model = simulator.ESX()
	}
	model.Machine, model.Datastore = *vms, *datastores
	own := &ownDisks{map[*types.VirtualDisk]types.ManagedObjectReference{}, map[*types.VirtualDisk]*types.VirtualDisk{}}
	if err := model.Create(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer model.Remove()
	simulator.Map.AddHandler(own)
	for _, vm := range simulator.Map.All("VirtualMachine") {
		own.UpdateObject(&vm.(*simulator.VirtualMachine).VirtualMachine, []types.PropertyChange{{Name: "config.hardware.device"}})
	}
	model.Service.Listen = &url.URL{Host: *listen, User: url.UserPassword("user", "pass")}
	simulator.DefaultLogin = url.UserPassword("nobody", "") // else any name and password would do
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}
	model.Service.RegisterEndpoints = true
	server := model.Service.NewServer()
	defer server.Close()
	fmt.Printf("%s %x\n", server.URL.Scheme+"://"+server.URL.Host+server.URL.Path, sha256.Sum256(server.Certificate().Raw))
	_, _ = ioutil.ReadAll(os.Stdin) // until the one who started it goes away
}
