// Whether a process can be made in namespaces of its own here. What the kernel's settings say is not enough: a filter of system calls or a security
// module, as containers have them, may refuse one step or another. So a process is made that takes the first of them, and ends.
using Lamina.Host.Interop;

namespace Lamina.Host.Locks;

/// <summary>Tries namespaces.</summary>
public static class NamespaceProbe
{
    /// <summary>Why this user gets no user namespace, with the others and a mount in it, as a part of a sentence; null where it does.</summary>
    public static string? WhyNot()
    {
        using var program = new ChildProgram { For = ConfinementParts.User };
        try
        {
            ConfinedProcess.MapUser(program);
            program.For = ConfinementParts.Root;
            program.Add(SystemCall.mount, 0, program.Text("/"), 0, Libc.MS_REC | Libc.MS_SLAVE);
            program.Add(SystemCall.exit_group);
            var child = program.Run(ConfinedProcess.Flags(ConfinementParts.Namespaces), out var failure);
            if (child == 0) return failure.ToString();
            // The call that ends it is the last, and gives nothing.
            _ = ConfinedProcess.Wait(child);
            return null;
        }
        catch (HostException refused)
        {
            return refused.Message;
        }
    }
}
