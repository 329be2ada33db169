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
	if err := model.Create(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer model.Remove()
	model.Service.Listen = &url.URL{Host: *listen, User: url.UserPassword("user", "pass")}
	simulator.DefaultLogin = url.UserPassword("nobody", "") // else any name and password would do
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}
	model.Service.RegisterEndpoints = true
	server := model.Service.NewServer()
	defer server.Close()
	fmt.Printf("%s %x\n", server.URL.Scheme+"://"+server.URL.Host+server.URL.Path, sha256.Sum256(server.Certificate().Raw))
	_, _ = ioutil.ReadAll(os.Stdin) // until the one who started it goes away
}
