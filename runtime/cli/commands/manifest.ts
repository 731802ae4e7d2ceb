/** `hypersdk manifest knative libvirt/networks`: what `kubectl apply -f -` reads. */
import { Argument, type Command } from "commander";

export function manifest(program: Command) {
  program
    .command("manifest")
    .description("print Kubernetes objects that run a function, or a folder of them")
    .addArgument(new Argument("<kind>", "what runs it").choices(["knative", "kubernetes"]))
    .argument("<function>", "as for build")
    .option("--image <image>", "the container's image; hypersdk-NAME:VERSION unless given")
    .action(async (kind: "knative" | "kubernetes", target: string, options) => {
      const [{ describe }, { select }, kinds] = await Promise.all([
        import("../../build/manifest.ts"),
        import("../../build/select.ts"),
        import("../../build/kubernetes.ts"),
      ]);
      const described = await describe(await select(target));
      const { image = `hypersdk-${described.name}:${described.version}` } = options;
      const objects = kinds[kind]({ manifest: described, image });
      console.log(objects.map((one) => Bun.YAML.stringify(one, null, 2)).join("\n---\n"));
    });
}
