/** What somebody whose hypervisor has no domain yet is told at the start: three calls to the first running guest. */
export function firstGuest(url: string): string {
  const at = url.replace(/\/$/, "");
  const input = JSON.stringify({
    name: "first",
    disks: [{ image: "debian-12.qcow2", size: 10 }],
    cloud_init: { users: [{ name: "me", sudo: true, ssh_authorized_keys: ["KEY"] }] },
    start: true,
    wait: { for: "ssh", timeout: 600 },
  });
  return `there is no domain yet; with a cloud image, such as Debian's genericcloud, three calls make one and log in:
  curl -T debian-12.qcow2 '${at}/libvirt/volume/content?pool=default&volume=debian-12.qcow2'
  curl ${at}/libvirt/domain/create -H 'Content-Type: application/json' -d '${input.replace("KEY", `'"$(cat ~/.ssh/id_ed25519.pub)"'`)}'
  ssh me@ADDRESS`;
}
