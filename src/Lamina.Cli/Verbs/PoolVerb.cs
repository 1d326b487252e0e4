// lamina pool create | list | show | set | rm: groups of machines that share what they may take of the host. The options are the properties
// of PoolDefinition; what is set holds at once for the machines that run in the pool, where the host has control groups.
using System.CommandLine;
using System.Text;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "pool".</summary>
internal static class PoolVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var verb = new Verb("pool", "Groups of machines that share what they may take of the host.")
        {
            Sections = () =>
            [
                new("Examples",
                [
                    ("lamina pool create build --cpu-cap 200% --memory-limit 8G", ""),
                    ("lamina pool create nightly --parent build --cpu-weight 20", ""),
                    ("lamina create job debian --pool nightly", ""),
                ]),
            ],
        };
        verb.Subcommands.Add(Make("create", "Makes a pool.", (store, name, said) => store.Create(name, said(new PoolDefinition()))));
        verb.Subcommands.Add(Make("set", "Changes a pool, at once for the machines that run in it.", (store, name, said) => Put(store, store.Change(name, said))));
        verb.Subcommands.Add(List());
        verb.Subcommands.Add(Show());
        verb.Subcommands.Add(Remove());
        return verb;
    }

    private static void Put(PoolStore store, Pool pool)
    {
        try
        {
            PoolLimits.Apply(MachineStore.OfUser(), store.WithParents(pool.Name));
        }
        catch (IOException refused)
        {
            throw new MachineException(MachineError.Host, $"the pool {pool.Name} is changed for the next start of its machines; for those that run the host refuses it: {refused.Message}", refused);
        }
    }

    private static Verb Make(string word, string description, Action<PoolStore, string, Func<PoolDefinition, PoolDefinition>> act)
    {
        var name = Name();
        var verb = new Verb(word, description);
        verb.Arguments.Add(name);
        var options = PoolDefinition.Shape.Properties.Select(property => (Property: property, Option: new Option<string?>($"--{property.Name}") { HelpName = property.Syntax, Description = property.Meaning })).ToList();
        verb.AddGroup("What it may take", [.. options.Select(option => option.Option)]);
        verb.SetAction(parsed =>
        {
            act(Store, parsed.GetRequiredValue(name), pool =>
            {
                foreach (var (property, option) in options)
                    if (parsed.GetValue(option) is { } text) pool = PoolDefinition.Shape.With(pool, property.Name, text);
                return pool;
            });
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb List()
    {
        var verb = new Verb("list", "Shows the pools that there are.");
        verb.SetAction(parsed =>
        {
            var machines = MachineStore.OfUser().List();
            foreach (var pool in Store.List())
            {
                var inside = machines.Where(machine => machine.Definition?.Pool == pool.Name).ToList();
                var said = string.Join(' ', PoolDefinition.Shape.Write(pool.Definition).Select(property => $"{property.Name}={property.Values[0]}"));
                parsed.InvocationConfiguration.Output.WriteLine($"{pool.Name}  {inside.Count(machine => machine.IsRunning)} of {inside.Count} running{(said.Length == 0 ? "" : $"  {said}")}");
            }
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Show()
    {
        var name = Name();
        var verb = new Verb("show", "Shows a pool as JSON.");
        verb.Arguments.Add(name);
        verb.SetAction(parsed =>
        {
            parsed.InvocationConfiguration.Output.Write(Encoding.UTF8.GetString(DefinitionJson.Write(Store.Find(parsed.GetRequiredValue(name)).Definition)));
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Remove()
    {
        var name = Name();
        var verb = new Verb("rm", "Removes a pool that nothing is in.");
        verb.Arguments.Add(name);
        verb.SetAction(parsed =>
        {
            Store.Remove(parsed.GetRequiredValue(name));
            return ExitCode.Success;
        });
        return verb;
    }

    private static PoolStore Store => new(MachineStore.OfUser());

    private static Argument<string> Name()
    {
        var name = new Argument<string>("name") { HelpName = "NAME", Description = "The pool's name: lower-case letters, digits and hyphens." };
        name.CompletionSources.Add(_ => Store.Names);
        return name;
    }
}
